"""What is watched: which link of a path a transfer tells of, dispatch, and when that is worth a new version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.demo import even_demo
from tierflow.cost import Probe, Transfer, Watched
from tierflow.cost.transfer import GOODPUT, send_time, way
from tierflow.topology import Topology, load
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, LinkChange

ROOT = Path(__file__).parents[2]
UPLINK, WIFI = "plant-1->region-1", "cam-1->plant-1"


@pytest.fixture
def demo() -> Conditions:
    return even_demo()


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


@pytest.mark.parametrize("noise", [0.05, 0.1])
@pytest.mark.parametrize("every", [0.1, 1.0])
def test_a_noisy_link_settles_and_still_steps_at_once(demo: Conditions, noise: float, every: float) -> None:
    rng = np.random.default_rng(5)
    links, now, versions = Watched(), demo, []
    for number in range(300):
        seen = watched(now, 4e6, number * every, noise=float(rng.normal(0, noise)))
        links, now = links.transferred(seen, now)
        versions.append(now.version)
    assert versions[-1] <= 12
    assert versions[-1] - versions[50] <= 4
    assert rate(now, UPLINK) == pytest.approx(2.5e6 * GOODPUT, rel=0.1)
    for number, step in enumerate((1e6, 2.3e6), 300):
        links, now = links.transferred(watched(now, 4e6, number * every, step), now)
        assert rate(now, UPLINK) == pytest.approx(step, rel=0.1)


@pytest.mark.parametrize("noise", [0.2, 0.5])
def test_dispatch_settles_whatever_its_noise_and_the_processes_that_start(demo: Conditions, noise: float) -> None:
    rng = np.random.default_rng(5)
    known, now, versions = Watched(), demo, []
    for number in range(300):
        starts = 100.0 if number % 40 == 0 else 1.0
        seconds = 0.02 * float(rng.lognormal(0, noise)) * starts
        known, now = known.dispatched("gw-1", seconds, number * 0.1, now)
        versions.append(now.version)
        if number > 20:
            assert now.dispatch.at(now.fixed.nodes["gw-1"]).value == pytest.approx(0.02, rel=0.5)
    assert versions[-1] <= 8
    for number in (300, 301):
        known, now = known.dispatched("gw-1", 0.5, number * 0.1, now)
    assert now.dispatch.at(now.fixed.nodes["gw-1"]) == Value(pytest.approx(0.5, rel=0.1), pytest.approx(0, abs=0.1))
    with pytest.raises(KeyError):
        known.dispatched("gw-9", 0.1, 0.0, now)


def test_what_is_watched_of_one_thing_leaves_the_others(demo: Conditions) -> None:
    known, now = Watched().dispatched("gw-1", 0.01, 0.0, demo)
    known, now = known.transferred(watched(now, 4e6, 1.0), now)
    known, now = known.probed(Probe("cam-1", "cloud-1", 0.1, 2.0), now)
    assert set(known.dispatches) == {"gw-1"}
    assert set(known.rates) == {UPLINK}
    assert UPLINK in known.delays


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


def test_a_link_that_another_path_finds_fast_is_not_blamed_for_a_slow_one(demo: Conditions) -> None:
    """To the edge all is well, and the uplink is slow: it is found out although it was taken to be the faster."""
    access, slow, known, now = "cam-1->plant-1", 2.5e5, Watched(), demo
    known, now = known.transferred(Transfer("cam-1", "gw-1", 1e6, 0.5, 0.0), now)  # 2 MB/s: below the uplink
    assert now.rate.value[now.fixed.links[access]] < now.rate.value[now.fixed.links[UPLINK]]
    for second in range(1, 7):
        known, now = known.transferred(Transfer("cam-1", "gw-1", 1e6, 0.5, float(10 * second)), now)
        known, now = known.transferred(Transfer("cam-1", "cloud-1", 1e6, 1e6 / slow, float(10 * second + 5)), now)
    assert now.rate.value[now.fixed.links[access]] == pytest.approx(2e6, rel=0.1)
    assert now.rate.value[now.fixed.links[UPLINK]] == pytest.approx(slow, rel=0.2)
