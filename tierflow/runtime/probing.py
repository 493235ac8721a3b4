"""When agents measure the links between them: when a node has joined, daily, and while a link is slower than it was."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import ray

from tierflow.cost import Probe, Transfer, Watched
from tierflow.planning.probes import Pair, pairs, waits
from tierflow.runtime.agents import Agents
from tierflow.runtime.news import Sight
from tierflow.runtime.probe import rate
from tierflow.topology.conditions import Conditions

__all__ = ["Probing"]

log = logging.getLogger("tierflow.registry")

DAY, AGAIN = 24 * 3600.0, 120.0
"""Seconds until a pair is looked at again for no reason, and where it could not be measured."""
TRIPS_EVERY = 6.0
"""Seconds between two round trips of a pair while the fabric is used: less than a kilobyte each."""
PROBED = 1e9
"""Bytes of the transfer that a probed rate is told as: so many that nothing but the rate counts."""
PATIENCE = 60.0
"""Seconds that one step of a probe may take; a link that needs longer is as good as cut."""
WELL = 0.8
"""The share of its former rate from which on a link is well again."""


@dataclass(slots=True)
class _Slow:
    """A link that has become slower: its former rate, since when nobody has looked, when to look and the next waits."""

    rate: float
    since: float
    due: float
    waits: Iterator[float] = field(default_factory=waits)


class Probing:
    """Lets agents measure; `tell` is called with what they saw."""

    def __init__(self, head: str, agents: Agents, tell: Callable[[Sequence[Sight]], None]) -> None:
        self._head, self._agents, self._tell = head, agents, tell
        self._due_at: dict[tuple[Pair, str, str], float] = {}
        self._trip_at: dict[Pair, float] = {}
        self._slow: dict[str, _Slow] = {}
        self._lock = threading.Lock()

    def look_again(self, slower: Sequence[tuple[str, float]]) -> None:
        """Take note that links have become slower, with the rates (bytes per second) that they had."""
        with self._lock:
            for name, rate in slower:
                if name not in self._slow:
                    now = time.monotonic()
                    slow = _Slow(rate, now, now)
                    slow.due += next(slow.waits)
                    self._slow[name] = slow

    def run(self, conditions: Conditions, known: Watched, *, used: bool) -> None:
        """Measure what is due now: all between nodes that are new, what is slow only where the fabric is `used`.

        What a transfer has told of a slow link, as is `known`, need not be measured.
        """
        now = time.monotonic()
        members = dict(self._agents.known)
        for pair in pairs(conditions.topology, self._head):
            if not all(node in members for node in pair):
                continue
            life = (pair, members[pair[0]].ray_id, members[pair[1]].ray_id)
            if now >= self._due_at.get(life, 0.0):
                self._due_at[life] = time.monotonic() + (DAY if self._probe(pair) else AGAIN)
            elif used and self._due(pair, conditions, known, now):
                self._probe(pair)
                self._looked(_path(pair, conditions))
            elif used and now >= self._trip_at.get(pair, 0.0):
                self._round_trip(pair)

    def _due(self, pair: Pair, conditions: Conditions, known: Watched, now: float) -> bool:
        """Whether a link between the pair is slow, it is time to look at it, and no transfer did so since the last."""
        due = False
        with self._lock:
            for at, name in _path(pair, conditions).items():
                slow = self._slow.get(name)
                if slow is None:
                    continue
                wait = next(slow.waits, None) if now >= slow.due else 0.0
                if conditions.rate.value[at] >= WELL * slow.rate or wait is None:
                    del self._slow[name]
                elif now >= slow.due:
                    slow.due = now + wait
                    due = due or name not in known.rates or known.rates[name].time <= slow.since
                    slow.since = now
        return due

    def _looked(self, path: Mapping[int, str]) -> None:
        """What the probe itself told of these links is not to pass for what a transfer told after it."""
        with self._lock:
            for name in path.values():
                if name in self._slow:
                    self._slow[name].since = time.monotonic()

    def _round_trip(self, pair: Pair) -> float | None:
        """Measure the round trip between two nodes: some packets that no call needs, so that a change is seen soon."""
        a, b = pair
        peer = self._agents.known[b]
        self._trip_at[pair] = time.monotonic() + TRIPS_EVERY
        try:
            found: float | None = ray.get(
                self._agents.of(a).round_trip.remote(peer.address, peer.port), timeout=PATIENCE
            )
        except ray.exceptions.RayError as error:
            log.warning("the round trip between %s and %s could not be measured: %s", a, b, error)
            return None
        if found is not None:
            self._tell([Probe(a, b, found, 0.0)])
        return found

    def _probe(self, pair: Pair) -> bool:
        """Measure the round trip between two nodes, then the rate in each direction; false where that did not go."""
        a, b = pair
        round_trip = self._round_trip(pair)
        if round_trip is None:
            return False
        try:
            for source, target in (pair, (b, a)):
                found = rate(partial(self._send, source, target), round_trip)
                if found is not None:
                    # As a transfer that took that long, whose round trips are already taken off.
                    self._tell([Transfer(source, target, PROBED, PROBED / found.value, 0.0)])
        except ray.exceptions.RayError as error:
            log.warning("the link between %s and %s could not be measured: %s", a, b, error)
            return False
        return True

    def _send(self, source: str, target: str, size: int) -> tuple[int, float]:
        held = ray.get(self._agents.of(source).make.remote(size), timeout=PATIENCE)
        taken: tuple[int, float] = ray.get(self._agents.of(target).take.remote(held), timeout=PATIENCE)
        return taken


def _path(pair: Pair, conditions: Conditions) -> dict[int, str]:
    """The links between a pair, there and back, with their names."""
    topology = conditions.topology
    found = (*(topology.path(*pair) or ()), *(topology.path(*reversed(pair)) or ()))
    return {at: topology.links[at].name for at in found}
