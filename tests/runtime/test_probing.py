"""When links are measured again. The clock, and the agents that would measure, are made here."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.runtime.world import UP, World, world
from tierflow.cost import Watched
from tierflow.planning.probes import Pair, waits
from tierflow.runtime import probing as module
from tierflow.runtime.agents import Agents
from tierflow.runtime.probing import Probing
from tierflow.topology.column import Value
from tierflow.topology.conditions import LinkChange

__all__ = ["world"]

FORMER, NOW = 2.5e6, 6e4


class Looks(Probing):
    """What would be measured, and when."""

    def __init__(self, clock: SimpleNamespace) -> None:
        member = SimpleNamespace(ray_id="1")
        names = ("cloud-1", "gw-1", "gw-2", "gw-3", "cam-1")
        agents = cast("Agents", SimpleNamespace(known=dict.fromkeys(names, member)))
        super().__init__("cloud-1", agents, lambda sights: None)
        self._clock = clock
        self.at: list[float] = []

    def _probe(self, pair: Pair) -> bool:
        self.at.append(self._clock.now)
        return True

    def _round_trip(self, pair: Pair) -> float | None:
        return None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def live(looks: Looks, clock: SimpleNamespace, world: World, until: float, rate: float) -> None:
    """Look every half second whether something is due, while the link has this rate."""
    conditions = world.true.changed(links={UP: LinkChange(rate=Value(rate))})
    while clock.now < until:
        looks.run(conditions, Watched(), used=True)
        clock.now += 0.5


def test_a_link_that_slows_again_is_looked_at_as_soon_as_the_first_time(world: World, clock: Any) -> None:
    looks = Looks(clock)
    live(looks, clock, world, 1, FORMER)
    looks.at.clear()  # all are measured once, when their nodes are new
    looks.look_again([(UP, FORMER)])
    live(looks, clock, world, 300, FORMER / 2)
    assert [b - a for a, b in pairwise([0.5, *looks.at])] == pytest.approx(list(waits())[: len(looks.at)], abs=1)
    looks.at.clear()
    began = clock.now
    looks.look_again([(UP, FORMER / 2)])
    live(looks, clock, world, began + 30, NOW)
    assert looks.at[0] - began <= next(waits()) + 0.5
    looks.at.clear()
    live(looks, clock, world, clock.now + 1000, 0.9 * FORMER)  # well again, by the rate that it had first
    assert looks.at == []
