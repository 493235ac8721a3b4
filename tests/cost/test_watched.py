"""Links: which link of a path a transfer tells of, and when that is worth a new version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.cost import Probe, Transfer, Watched
from tierflow.cost.transfer import GOODPUT, send_time, way
from tierflow.topology import Topology, load
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, LinkChange

ROOT = Path(__file__).parents[2]
UPLINK, WIFI = "plant-1->region-1", "cam-1->plant-1"


@pytest.fixture
def demo() -> Conditions:
    return Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))


def watched(now: Conditions, size: float, at: float, rate: float = 2.5e6 * GOODPUT, noise: float = 0.0) -> Transfer:
    """A transfer from cam-1 to cloud-1 that the uplink carried at this rate."""
    true = now.changed(links={UPLINK: LinkChange(rate=Value(rate))})
    there, back = way(true, "cam-1"), way(true, "cam-1", inward=True)
    seconds = send_time(size, there, there.delay + back.delay).value[true.fixed.nodes["cloud-1"]]
    return Transfer("cam-1", "cloud-1", size, float(seconds * np.exp(noise)), at)


def rate(now: Conditions, name: str) -> float:
    return now.rate.at(now.fixed.links[name]).value


def test_a_step_of_the_uplink_is_in_effect_after_one_transfer(demo: Conditions) -> None:
    links, now = Watched(), demo
    for at in range(10):
        links, now = links.transferred(watched(now, 4e6, at, noise=0.01 * (-1) ** at), now)
    assert rate(now, UPLINK) == pytest.approx(2.5e6 * GOODPUT, rel=0.03)
    assert now.rate.at(now.fixed.links[UPLINK]).source is Source.MEASURED
    for at, step in enumerate((2.5e5, 1.5e6), 10):
        links, now = links.transferred(watched(now, 4e6, at, step), now)
        assert rate(now, UPLINK) == pytest.approx(step, rel=0.05)
    assert rate(now, WIFI) == rate(demo, WIFI)


def test_what_confirms_what_is_known_makes_no_version(demo: Conditions) -> None:
    links, now = Watched(), demo
    for at in range(40):
        links, now = links.transferred(watched(now, 4e6, at), now)
    versions = now.version
    for at in range(40, 80):
        links, now = links.transferred(watched(now, 4e6, at, noise=0.005 * (-1) ** at), now)
    assert now.version == versions <= 5


def test_a_transfer_that_the_sender_limited_only_raises(demo: Conditions) -> None:
    links, now = Watched().transferred(Transfer("cam-1", "cloud-1", 1e6, 100.0, 0.0, limited=True), demo)
    assert now is demo
    _, now = links.transferred(watched(demo, 2000.0, 1.0), demo)
    assert now is demo
    _, now = links.transferred(Transfer("cam-1", "cloud-1", 1e7, 1.0, 2.0, limited=True), demo)
    assert min(rate(now, UPLINK), rate(now, WIFI)) >= 1e7


def test_nothing_is_learned_of_no_path(demo: Conditions) -> None:
    assert Watched().transferred(Transfer("cam-1", "cam-1", 1e6, 1.0, 0.0), demo) == (Watched(), demo)
    assert Watched().probed(Probe("cam-1", "cam-1", 1.0, 0.0), demo) == (Watched(), demo)


def test_a_probe_is_shared_among_the_links_of_both_ways(demo: Conditions) -> None:
    links, now = Watched(), demo
    for at in range(20):
        links, now = links.probed(Probe("cam-1", "cloud-1", 2 * 0.0281 * 2, float(at)), now)
    there = way(now, "cam-1").delay[now.fixed.nodes["cloud-1"]]
    assert there == pytest.approx(0.0562, rel=0.03)
    assert now.delay.at(now.fixed.links[UPLINK]).value == pytest.approx(0.05, rel=0.03)


@given(sizes=st.lists(st.floats(1e5, 1e8), min_size=1, max_size=10), true=st.floats(1e4, 5e6))
def test_the_path_is_soon_as_fast_as_its_transfers(sizes: list[float], true: float) -> None:
    links, now = Watched(), Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))
    for at, size in enumerate([*sizes, 1e8]):
        links, now = links.transferred(watched(now, size, at, true), now)
    out = way(now, "cam-1")
    assert out.rate[now.fixed.nodes["cloud-1"]] == pytest.approx(true, rel=0.1)
