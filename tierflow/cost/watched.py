"""What was watched of the links and nodes: transfers and probes tell of links, calls of a node's dispatch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tierflow.cost.level import Level
from tierflow.cost.transfer import FIRST_WINDOW, data_rates, rate_of
from tierflow.topology.column import Column, Source, Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

__all__ = ["Probe", "Transfer", "Watched"]

SHOWN = 0.03
"""The relative change that is worth a new version of the conditions, if the level is that sure."""
SWAY = 3.0
"""Standard deviations of a level that a change must exceed to be worth a version: else it would follow the noise."""
DISPATCH_LOUD = 0.5**2
"""The most variance of the logarithm of a dispatch time that passes for noise."""
Ends = tuple[str, str]
"""The nodes that a transfer went between."""
CONFIRMS, CLEARED = 0.75, 60.0
"""The share of a link's rate that a transfer must have to confirm it, and for how many seconds that clears it."""
LEAST_DELAY = 1e-6
"""Seconds: what is nearer, or sooner, is measured as this."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bytes that were seen to go from one node to another in `seconds`, from the first sent to the last arrived.

    `ended` is when, in seconds of any steady clock. `limited` says that the sender had too little to send, or had to
    wait, so that the link could have carried more. `doubt` is the relative standard deviation of `seconds`.
    """

    source: str
    target: str
    size: float
    seconds: float
    ended: float
    limited: bool = False
    doubt: float = 0.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A round trip of next to no bytes from one node to another: `seconds`, seen at `ended`."""

    source: str
    target: str
    seconds: float
    ended: float


@dataclass(frozen=True, slots=True)
class Watched:
    """The levels of the links' rates and delays and of the nodes' dispatch, by name; what was never watched has none.

    Each event gives what is known after it, and the conditions with it: a new version only where something moved by
    more than noise. `confirmed` says of a link when, and between which nodes, a transfer last found it about as fast as
    it was taken to be; `last` is when the last transfer between two nodes was.
    """

    rates: Mapping[str, Level] = field(default_factory=dict)
    delays: Mapping[str, Level] = field(default_factory=dict)
    dispatches: Mapping[str, Level] = field(default_factory=dict)
    confirmed: Mapping[str, tuple[float, Ends]] = field(default_factory=dict)
    last: Mapping[Ends, float] = field(default_factory=dict)

    def transferred(self, seen: Transfer, conditions: Conditions) -> tuple[Watched, Conditions]:
        """What is known after a transfer.

        A path is as fast as its slowest link. So a transfer that was faster than a link of its path was taken to be
        raises that link; one that was slower than all of them lowers the slowest that no transfer between other nodes
        has cleared since the last one between these. One that was application-limited can only raise. Where a link
        that was taken to be fast has become the slowest, the wrong one is lowered, until a transfer between other
        nodes raises it again and so clears it: one path alone cannot tell.
        """
        path = conditions.topology.path(seen.source, seen.target) or ()
        way_back = conditions.topology.path(seen.target, seen.source) or ()
        at = conditions.fixed.nodes.get(seen.source)
        window = FIRST_WINDOW if at is None else float(conditions.window.value[at])
        rate = rate_of(seen.size, seen.seconds, _delay((*path, *way_back), conditions), window)
        limited = seen.limited or rate is None
        rate = seen.size / seen.seconds if rate is None else rate
        rates = data_rates(conditions)
        known = {index: float(rates[index]) for index in path}
        if not known or seen.size <= FIRST_WINDOW:  # one burst of packets: its first and its last are too close
            return self, conditions
        names = {index: conditions.topology.links[index].name for index in path}
        slowest = min(known, key=lambda index: (self._cleared(names[index], seen), known[index], names[index]))
        ends = seen.source, seen.target
        confirmed = {names[index]: (seen.ended, ends) for index in path if rate >= CONFIRMS * known[index]}
        below = [index for index in path if known[index] <= rate]
        levels = dict(self.rates)
        for index in below or ([] if limited else [slowest]):
            level = levels.get(names[index]) or _level(conditions.rate.at(index), known[index], seen.ended)
            levels[names[index]] = (level.at_least if limited else level.observed)(rate, seen.ended, seen.doubt)
        moved = _moved(levels, self.rates, conditions.rate, conditions, seen.ended)
        changes = {name: LinkChange(rate=value) for name, value in moved.items()}
        after = replace(
            self, rates=levels, confirmed={**self.confirmed, **confirmed}, last={**self.last, ends: seen.ended}
        )
        return after, conditions.changed(links=changes)

    def _cleared(self, name: str, seen: Transfer) -> bool:
        when, ends = self.confirmed.get(name, (-math.inf, ("", "")))
        here = seen.source, seen.target
        return ends != here and seen.ended - when < CLEARED and when > self.last.get(here, -math.inf)

    def probed(self, seen: Probe, conditions: Conditions) -> tuple[Watched, Conditions]:
        """What is known after a probe: the links of both ways share its time as they share what was known of it."""
        there = conditions.topology.path(seen.source, seen.target) or ()
        path = (*there, *(conditions.topology.path(seen.target, seen.source) or ()))
        total = _delay(path, conditions)
        levels = dict(self.delays)
        for index in path:
            name = conditions.topology.links[index].name
            before = max(conditions.delay.value[index], LEAST_DELAY)
            share = before / total if total > 0 else 1 / len(path)
            level = levels.get(name) or _level(conditions.delay.at(index), before, seen.ended)
            levels[name] = level.observed(max(seen.seconds * share, LEAST_DELAY), seen.ended)
        moved = _moved(levels, self.delays, conditions.delay, conditions, seen.ended)
        changes = {name: LinkChange(delay=value) for name, value in moved.items()}
        return replace(self, delays=levels), conditions.changed(links=changes)

    def dispatched(self, node: str, seconds: float, ended: float, conditions: Conditions) -> tuple[Watched, Conditions]:
        """What is known after a call to a node whose dispatch took `seconds`, seen at `ended` (any steady clock).

        The time of one dispatch spreads widely, and now and then one starts a process: so a step counts only from its
        second sample on.

        Raises:
            KeyError: no node has that name.
        """
        known = conditions.dispatch.at(conditions.fixed.nodes[node])
        level = self.dispatches.get(node)
        if level is None:
            before = replace(known, value=max(known.value, LEAST_DELAY))
            level = Level.known(before, ended, DISPATCH_LOUD, patient=True)
        level = level.observed(max(seconds, LEAST_DELAY), ended)
        after = replace(self, dispatches={**self.dispatches, node: level})
        if not _matters(level.value(ended), known):
            return after, conditions
        return after, conditions.changed({node: NodeChange(dispatch=level.value(ended))})


def _delay(path: tuple[int, ...], conditions: Conditions) -> float:
    return sum(float(conditions.delay.value[index]) for index in path)


def _level(known: Value, value: float, now: float) -> Level:
    return Level.known(Value(value, known.deviation * value / known.value if known.value else value, known.source), now)


def _moved(
    levels: Mapping[str, Level], before: Mapping[str, Level], column: Column, conditions: Conditions, now: float
) -> dict[str, Value]:
    """The links whose level is another than before, by more than what the column of the conditions may say of it."""
    fresh = {name: level.value(now) for name, level in levels.items() if level is not before.get(name)}
    return {name: value for name, value in fresh.items() if _matters(value, column.at(conditions.fixed.links[name]))}


def _matters(new: Value, old: Value) -> bool:
    surer = new.deviation * old.value < old.deviation * new.value / 2
    sway = max(SHOWN * old.value, SWAY * new.deviation)
    return surer or old.source == Source.DECLARED or abs(new.value - old.value) > sway
