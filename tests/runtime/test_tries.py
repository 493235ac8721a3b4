"""Calls that are made again: which try counts, and when one is taken to hang. Only Ray's references are real."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import ray

from tests.runtime.world import World, settled, world
from tierflow.errors import FabricError
from tierflow.runtime import tries as module
from tierflow.runtime.flight import Flight
from tierflow.runtime.tries import OVERDUE, Tries

__all__ = ["settled", "world"]

numbers = itertools.count(1)


class Clock:
    """Monotonic seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def reference(flight: Flight | None = None) -> ray.ObjectRef:
    return ray.ObjectRef(flight.key if flight else next(numbers).to_bytes(28, "little"))


def test_the_try_that_ended_well_first_counts_and_until_then_the_newest(settled: World) -> None:
    tries = Tries(settled.placing)
    flights = [settled.start() for _ in range(3)]
    first, second, third = map(reference, flights)
    assert tries.latest(first) == first
    tries.replaced(first, second)
    tries.replaced(second, third)
    assert tries.latest(first) == tries.latest(second) == third
    settled.finish(flights[1])
    assert tries.latest(first) == second
    settled.now += 1
    settled.finish(flights[0], wait=5)  # it was cut off and is back: what somebody may have got already stays
    assert tries.latest(first) == second


def test_one_hangs_after_3_s_more_than_ten_times_what_was_predicted(settled: World, clock: Clock) -> None:
    tries, flight = Tries(settled.placing), settled.start()
    ref = reference(flight)
    tries.submitted(ref, "gw-1", "look", reference)
    usual = settled.placing.usual(flight.key)
    clock.now += OVERDUE + 10 * usual - 0.01
    assert not tries.hangs(ref, 0)
    clock.now += 0.02
    assert tries.hangs(ref, 0)
    assert not tries.hangs(ref, clock.now - 1)  # so long since the cut


@pytest.mark.parametrize("again", [None, reference])
def test_what_waits_for_an_input_or_cannot_be_made_again_does_not_hang(
    world: World, clock: Clock, again: Callable[[], Any] | None
) -> None:
    tries, ref = Tries(world.placing), reference()
    tries.submitted(ref, "gw-1", "look", again, math.inf if again else OVERDUE)
    clock.now += 1e6
    assert not tries.hangs(ref, 0)
    tries.ended(ref.binary())
    assert tries.sent(ref) is None
    assert not tries.hangs(ref, 0)


def test_the_next_try_has_twice_the_time(world: World, clock: Clock) -> None:
    tries, ref = Tries(world.placing), reference()

    def again() -> ray.ObjectRef:
        other = reference()
        tries.submitted(other, "gw-1", "look", again, OVERDUE)
        return other

    tries.submitted(ref, "gw-1", "look", again, OVERDUE)
    for patience in (3, 6, 12):
        latest = tries.latest(ref)
        clock.now += patience - 0.01
        assert not tries.hangs(latest, 0)
        clock.now += 0.02
        assert tries.hangs(latest, 0)
        tries.hurry(latest)
        assert not tries.hangs(latest, 0)
        assert tries.latest(ref) != latest


def test_where_it_cannot_be_made_again_now_the_first_has_more_time(world: World, clock: Clock) -> None:
    tries, ref, asked = Tries(world.placing), reference(), [0]

    def again() -> None:
        asked[0] += 1
        raise FabricError("no node can run it", "wait")

    tries.submitted(ref, "gw-1", "look", again, OVERDUE)
    clock.now += OVERDUE
    tries.hurry(ref)
    assert (tries.latest(ref), asked, tries.hangs(ref, 0)) == (ref, [1], False)
    clock.now += OVERDUE
    assert tries.hangs(ref, 0)
    with pytest.raises(FabricError):
        tries.again(ref)


def test_of_two_that_make_a_call_again_one_does(world: World) -> None:
    tries, ref = Tries(world.placing), reference()
    made: list[ray.ObjectRef] = []

    def again() -> ray.ObjectRef:
        time.sleep(0.05)
        made.append(reference())
        return made[-1]

    tries.submitted(ref, "gw-1", "look", again)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(tries.again, [ref, ref]))
    assert [tries.latest(ref)] == made
