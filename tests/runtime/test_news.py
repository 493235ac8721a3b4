"""What processes of a fabric tell one another."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given

from tests.planning.drawn import conditions
from tierflow.cost import Dispatch, Probe, Profiles, Transfer, Watched
from tierflow.runtime.news import SLOWER, Sample, Update, changes, profiled, seen, slowed
from tierflow.topology import Topology, load
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

UP, DOWN = "plant-1->region-1", "region-1->plant-1"


@pytest.fixture
def declared() -> Conditions:
    return Conditions.of(Topology.of(load(Path(__file__).parents[2] / "clusters/demo.yaml")))


class TestChanges:
    def test_what_is_only_declared_is_known_to_all(self, declared: Conditions) -> None:
        assert changes(declared, -1) == ({}, {})

    def test_what_was_measured_since(self, declared: Conditions) -> None:
        first = declared.changed({"gw-1": NodeChange(speed=Value(0.4, 0.01))}, {UP: LinkChange(rate=Value(2e6, 1e4))})
        second = first.changed({"gw-1": NodeChange(busy=Value(0.5))}, {UP: LinkChange(delay=Value(0.05, 0.001))})
        assert changes(second, second.version) == ({}, {})
        assert changes(second, first.version) == (
            {"gw-1": NodeChange(busy=Value(0.5))},
            {UP: LinkChange(delay=Value(0.05, 0.001))},
        )
        nodes, links = changes(second, declared.version)
        assert nodes == {"gw-1": NodeChange(speed=Value(0.4, 0.01), busy=Value(0.5))}
        assert links == {UP: LinkChange(rate=Value(2e6, 1e4), delay=Value(0.05, 0.001))}

    @given(conditions())
    def test_who_takes_them_in_knows_the_same(self, now: Conditions) -> None:
        fresh = Conditions.of(now.topology)
        told = pickle.loads(pickle.dumps(Update((now.version, 0), *changes(now, fresh.version))))
        after = fresh.changed(told.nodes, told.links)
        for name in ("speed", "busy", "dispatch"):
            ours, theirs = getattr(now, name), getattr(after, name)
            measured = ours.source > Source.DECLARED
            assert (ours.value[measured] == theirs.value[measured]).all()
            assert (ours.deviation[measured] == theirs.deviation[measured]).all()
            assert (ours.source == theirs.source).all()
        for name in ("rate", "delay", "loss"):
            assert (getattr(now, name).value == getattr(after, name).value).all()


class TestSlowed:
    def test_a_measured_link_that_lost_much_of_its_rate(self, declared: Conditions) -> None:
        well = declared.changed(links={UP: LinkChange(rate=Value(2e6, 1e4)), DOWN: LinkChange(rate=Value(2e6, 1e4))})
        noise = well.changed(links={UP: LinkChange(rate=Value(2e6 * SLOWER * 1.01, 1e4))})
        slow = well.changed(links={UP: LinkChange(rate=Value(2e6 * SLOWER * 0.99, 1e4))})
        assert slowed(well, slow) == ((UP, 2e6),)
        assert slowed(well, noise) == slowed(slow, well) == slowed(well, well) == ()

    def test_a_first_measurement_is_no_step(self, declared: Conditions) -> None:
        assert slowed(declared, declared.changed(links={UP: LinkChange(rate=Value(1e4, 1e3))})) == ()

    def test_a_transfer_slower_than_its_path_tells_of_a_link_that_was_never_measured(
        self, declared: Conditions
    ) -> None:
        path = [declared.topology.links[at].name for at in declared.topology.path("gw-1", "cloud-1") or ()]
        well = declared.changed(links={UP: LinkChange(rate=Value(2e6, 1e4))})
        slow = well.changed(links={path[-1]: LinkChange(rate=Value(1e5, 1e3))})
        assert path[-1] != UP
        assert slowed(well, slow, [Transfer("gw-1", "cloud-1", 1e5, 1.0, 1.0)]) == ((path[-1], 2e6),)
        assert slowed(well, slow, [Transfer("cloud-1", "gw-1", 1e5, 1.0, 1.0)]) == slowed(well, slow) == ()

    def test_other_changes_are_none(self, declared: Conditions) -> None:
        measured = declared.changed(links={UP: LinkChange(rate=Value(2e6, 1e4))})
        assert slowed(measured, measured.changed(links={UP: LinkChange(delay=Value(5.0))})) == ()
        assert slowed(measured, measured.on(measured.topology)) == ()


class TestSeen:
    def test_a_transfer_tells_a_rate(self, declared: Conditions) -> None:
        _, after = seen(Transfer("gw-1", "cloud-1", 1e9, 1e9 / 5e5, 1.0), Watched(), declared)
        assert after.rate.at(after.fixed.links[UP]).value == pytest.approx(5e5, rel=0.05)

    def test_a_probe_tells_delays(self, declared: Conditions) -> None:
        _, after = seen(Probe("gw-1", "cloud-1", 0.2, 1.0), Watched(), declared)
        assert after.delay.at(after.fixed.links[UP]).value == pytest.approx(0.1, rel=0.05)

    def test_a_dispatch_tells_of_its_node(self, declared: Conditions) -> None:
        _, after = seen(Dispatch("gw-1", 0.03, 1.0), Watched(), declared)
        assert after.dispatch.at(after.fixed.nodes["gw-1"]).value == pytest.approx(0.03, rel=0.5)
        assert after.rate is declared.rate


def test_a_sample_makes_a_profile() -> None:
    sample = Sample("look", "edge 2 CPU", 0.5, 1000.0, 0.2, 64.0)
    once = profiled(Profiles(), sample)
    assert once.of("look").kinds["edge 2 CPU"].curve.at(1000.0)[0] == pytest.approx(0.2)
    assert once.of("look").kinds["edge 2 CPU"].speed == 0.5
    assert once.of("look").returns(1000.0).value == pytest.approx(64.0)
    other = profiled(once, Sample("find", "cloud", 1.0, 10.0, 0.1, 8.0))
    assert set(other.functions) == {"look", "find"}
    assert other.of("look") is once.of("look")
    twice = profiled(other, sample)
    assert twice.of("look").kinds["edge 2 CPU"].curve.count == 2
