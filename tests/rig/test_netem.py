"""The kernel's emulator. What needs the netem module itself is in `test_links.py`, for machines that have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import emulations
from in_hosts import ECHO, ask, serving, transfer

from tierflow.errors import RigError
from tierflow.rig import Rig
from tierflow.rig.netem import next_hops, options
from tierflow.rig.plan import plan
from tierflow.rig.shaping import Shape
from tierflow.topology import ClusterSpec, parse

ONE_SITE = """
name: one-site
hosts: rig
tiers: [device, edge, cloud]
nodes:
  - {name: cloud-1, tier: cloud, site: hall}
  - {name: cloud-2, tier: cloud, site: hall}
"""


def test_the_next_hop_follows_from_the_destination(spec: ClusterSpec) -> None:
    config = plan(spec, {node.name: "/ns" for node in spec.nodes})
    hops = next_hops(config)
    assert hops is not None
    assert {way: config["links"][link]["name"] for way, link in hops.items() if way[1] == "cloud-1"} == {
        ("cam-1", "cloud-1"): "cam-1->plant-1",
        ("gw-1", "cloud-1"): "gw-1->plant-1",
        ("plant-1", "cloud-1"): "plant-1->region-1",
        ("region-1", "cloud-1"): "region-1->cloud-1",
    }


def test_paths_that_part_by_their_source_have_no_next_hop() -> None:
    links = [{"source": "a"}, {"source": "a"}]
    assert next_hops({"links": links, "paths": [("x", "b", [0]), ("y", "b", [1])]}) is None


def test_netem_is_told_the_least_delay_and_a_queue_like_the_other_emulators() -> None:
    asked = options(Shape(rate=1.25e6, delay=0.02, jitter=0.004, loss=0.01))
    assert asked == {
        "delay": 22000, "jitter": 2000, "loss": 1.0, "limit": 155, "rate": 1250000, "packet_overhead": -14,
    }  # fmt: skip


@pytest.mark.namespace
def test_routes_lead_through_the_site_and_both_counters_agree(state: Path) -> None:
    with Rig.up(parse(ONE_SITE), state, emulation="netem") as rig:
        near, far = rig.hosts["cloud-1"], rig.hosts["cloud-2"]
        with serving(far, ECHO):
            assert ask(near, far, 3)[0] == 3
        assert transfer(near, far, 300_000)[0] == 300_000
        counted = rig.counters()
        assert counted["cloud-1->hall"] == counted["hall->cloud-2"]
        assert counted["hall->cloud-2"].bytes == rig.interfaces()["cloud-2"].received_bytes > 300_000


@pytest.mark.namespace
def test_netem_comes_up_or_says_that_this_kernel_has_none(spec: ClusterSpec, state: Path) -> None:
    if "netem" in emulations():
        Rig.up(spec, state, emulation="netem").down()
    else:
        with pytest.raises(RigError, match="this kernel has no netem"):
            Rig.up(spec, state, emulation="netem")
