"""What a process knows of the results of its calls: where they are, how large, with what label, how they pack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.runtime.world import CLOUD, World, settled, world
from tierflow.cost import Codec, Input
from tierflow.runtime.flight import Seen

__all__ = ["settled", "world"]


def test_objects(settled: World) -> None:
    settled.placing.place(b"a" * 28, "gw-1", 5000)
    assert settled.placing.known(b"a" * 28) == Input("gw-1", 5000.0, stored=True)
    assert settled.placing.known(b"b" * 28) is None
    flight = settled.start()
    assert settled.placing.awaits(flight.key)
    expected = settled.placing.known(flight.key)
    assert expected is not None
    assert (expected.at, expected.size) == ("cloud-1", pytest.approx(100.0))
    settled.finish(flight)
    assert not settled.placing.awaits(flight.key)
    assert not settled.placing.awaits(b"b" * 28)


def test_a_label_holds_a_small_result_where_it_was_made(settled: World) -> None:
    settled.placing.place(b"a" * 28, "cam-1", 50, stay="device")
    assert settled.placing.known(b"a" * 28) == Input("cam-1", 50.0, "device", stored=True)
    flight = settled.start()
    settled.placing.begin(flight.key, "any/look", flight.call, flight.choice, 1, settled.now, stay="site")
    expected = settled.placing.known(flight.key)
    assert expected is not None
    assert expected.stay == "site"
    settled.placing.end(flight, Seen("gw-1", 0.1, 100, 1000.0, stay="site"))
    assert settled.placing.known(flight.key) == Input("gw-1", 100, "site")
    settled.finish(settled.start(), packs=(Codec("exact", 0.4),))
    assert settled.placing.known(settled.start().key).packs == ()  # the next one may have a label again


def test_a_result_that_is_not_made_yet_is_taken_to_pack_like_the_one_before_as_far_as_its_call_allows(
    world: World,
) -> None:
    exact, halves = Codec("exact", 0.4, 1e9, 1e9), Codec("halves", 0.2, 1e9, 1e9, 0.01)
    assert world.placing.known(world.start(policy=CLOUD).key).packs == ()
    world.finish(world.start(policy=CLOUD), result=1 << 20, packs=(exact, halves))
    failed = world.start(policy=CLOUD)
    assert world.placing.known(failed.key).packs == (exact,)
    world.placing.end(failed, None, "ValueError")
    assert world.placing.known(failed.key).packs == ()
    assert world.placing.known(world.start(policy=replace(CLOUD, lossy=0.01)).key).packs == (exact, halves)
    world.finish(world.start(policy=CLOUD), node="gw-1", result=1 << 20, packs=(exact,))  # not where it was placed
    assert world.placing.known(world.start(policy=CLOUD).key).packs == ()
