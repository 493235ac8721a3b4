"""The kernel's emulator. What needs the netem module itself is in `test_links.py`, for machines that have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.conftest import emulations
from tests.rig.in_hosts import ECHO, ask, serving, transfer
from tierflow.errors import RigError
from tierflow.rig import LinkCounters, Rig
from tierflow.rig.ledger import Emulation
from tierflow.rig.netem import next_hops, options
from tierflow.rig.plan import plan
from tierflow.rig.queueing import Netem
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
    assert asked == Netem(delay=22_000_000, jitter=2_000_000, loss=0.01, limit=155, rate=1_250_000, overhead=-14)


def test_a_link_without_a_rate_keeps_the_order_too() -> None:
    assert options(Shape(delay=0.1, jitter=0.1)).rate == options(Shape(rate=1e12)).rate == 2**32 - 1


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


@pytest.mark.namespace
def test_a_rig_uses_netem_where_the_kernel_has_it(spec: ClusterSpec, state: Path) -> None:
    with Rig.up(spec, state) as rig:
        assert rig.config()["emulation"] == emulations()[-1]


@pytest.mark.namespace
@pytest.mark.parametrize("emulation", emulations())
def test_what_is_in_a_link_is_dropped_with_it_and_counted(spec: ClusterSpec, state: Path, emulation: Emulation) -> None:
    with Rig.up(spec, state, emulation=emulation) as rig:
        link = "plant-1->region-1"
        rig.set(link, rate=1e3, delay=60.0)
        with serving(rig.hosts["cloud-1"], ECHO):
            assert ask(rig.hosts["cam-1"], rig.hosts["cloud-1"], 3, patience=0.02)[0] == 0
            rig.cut(link)
            assert rig.counters()[link].dropped == 3
            rig.heal(link)
            assert rig.counters()[link] == LinkCounters(0, 0, 3)
