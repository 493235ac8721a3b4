from __future__ import annotations

import pickle
import time

import pytest

import tierflow
from tests.sdk import program

pytestmark = pytest.mark.usefixtures("cluster")


def test_what_no_node_can_run_is_refused_at_the_call() -> None:
    began = time.monotonic()
    with pytest.raises(tierflow.NoPlacement) as caught:
        program.add.options(num_cpus=4, resources={"camera": 1}).remote(1)
    assert time.monotonic() - began < 5
    assert str(caught.value) == (
        "no node can run edge/add, which asks for tier edge, 4 CPU, 1 camera:\n"
        "  cam-1 (device, plant-1): is of tier device, has 1 CPU, not 4 CPU, has 0 camera, not 1 camera\n"
        "  cloud-1 (cloud, region-1): is of tier cloud, has 1 CPU, not 4 CPU, has 0 camera, not 1 camera\n"
        "  gw-1 (edge, plant-1): has 2 CPU, not 4 CPU, has 0 camera, not 1 camera"
    )
    assert pickle.loads(pickle.dumps(caught.value)).refusals == caught.value.refusals


def test_an_unknown_tier_says_which_there_are() -> None:
    with pytest.raises(tierflow.NoPlacement, match="the fabric has no tier egde; did you mean edge"):
        program.add.options(tier="egde").remote(1)
    with pytest.raises(tierflow.NoPlacement, match="the fabric has no site x; there is: plant-1, region-1"):
        program.Counter.options(site="x").remote()


def test_a_preferred_tier_that_is_too_small_gives_way_to_the_next() -> None:
    ref = program.where.options(tier=("device", "edge"), num_cpus=2).remote()
    assert tierflow.get(ref, timeout=30) == "gw-1"
    placed = tierflow.placement(ref)
    assert (placed.node, placed.tier) == ("gw-1", "edge")


def test_nodes_says_who_is_there() -> None:
    members = {member.name: member for member in tierflow.nodes()}
    assert list(members) == ["cam-1", "cloud-1", "gw-1"]
    gateway = members["gw-1"]
    assert (gateway.tier, gateway.site, gateway.alive, gateway.resources["CPU"]) == ("edge", "plant-1", True, 2)
    assert 0 <= gateway.available.get("CPU", 0) <= 2


def test_placement_wants_a_reference_or_a_handle() -> None:
    with pytest.raises(TypeError, match="not int"):
        tierflow.placement(3)  # type: ignore[arg-type]
