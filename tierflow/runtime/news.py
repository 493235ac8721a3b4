"""What processes of a fabric tell one another of functions, links and nodes. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from tierflow.cost import Probe, Profiles, Transfer, Watched
from tierflow.cost.attribution import Dispatch
from tierflow.topology import ClusterSpec
from tierflow.topology.column import Column, Source, Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

__all__ = ["Sample", "Sight", "Update", "Version", "changes", "profiled", "seen", "slowed"]

SLOWER = 0.7
"""The share of its former rate below which a link has become slower."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A function's time on a kind of node: what `Profile.observed` takes."""

    function: str
    kind: str
    speed: float
    size: float
    seconds: float
    result: float
    first: bool = False


Sight: TypeAlias = Transfer | Probe | Dispatch
"""What says something of a link or of a node's dispatch."""


Version = tuple[str, int, int]
"""Of one life of the registry: its mark, the version of the conditions, that of the profiles."""


@dataclass(frozen=True, slots=True)
class Update:
    """What is new since a version: values of nodes and links by name, profiles, and the nodes if some have joined."""

    version: Version
    nodes: Mapping[str, NodeChange] = field(default_factory=dict)
    links: Mapping[str, LinkChange] = field(default_factory=dict)
    profiles: Profiles = field(default_factory=Profiles)
    spec: ClusterSpec | None = None


def profiled(profiles: Profiles, sample: Sample) -> Profiles:
    """The profiles after a sample."""
    known = profiles.of(sample.function)
    after = known.observed(sample.kind, sample.speed, sample.size, sample.seconds, sample.result, first=sample.first)
    return profiles.with_profile(sample.function, after)


def changes(conditions: Conditions, since: int) -> tuple[dict[str, NodeChange], dict[str, LinkChange]]:
    """What was measured of nodes and links after a version of the conditions, by name."""

    def value(column: Column, at: int) -> Value | None:
        fresh = column.version[at] > since and column.source[at] > Source.DECLARED
        return column.at(at) if fresh else None

    nodes, links = {}, {}
    for name, at in conditions.fixed.nodes.items():
        speed, busy = value(conditions.speed, at), value(conditions.busy, at)
        dispatch, window = value(conditions.dispatch, at), value(conditions.window, at)
        node = NodeChange(speed=speed, busy=busy, dispatch=dispatch, window=window)
        if node != NodeChange():
            nodes[name] = node
    for name, at in conditions.fixed.links.items():
        rate, delay, loss = (value(column, at) for column in (conditions.rate, conditions.delay, conditions.loss))
        link = LinkChange(rate=rate, delay=delay, loss=loss)
        if link != LinkChange():
            links[name] = link
    return nodes, links


def slowed(before: Conditions, after: Conditions, sights: Iterable[Sight] = ()) -> tuple[tuple[str, float], ...]:
    """The links that have become much slower, by name, with the rates that they had; none if the links are others.

    Of a link of which only the declared rate was known, a transfer among `sights` tells that its path has become
    slower than it was: nobody knows whether that is so for good.
    """
    if before.rate is after.rate or before.fixed is not after.fixed:
        return ()
    measured = before.rate.source > Source.DECLARED
    worse = (measured & (after.rate.value < SLOWER * before.rate.value)).nonzero()[0]
    had = {int(at): float(before.rate.value[at]) for at in worse}
    for sight in sights:
        path = after.topology.path(sight.source, sight.target) if isinstance(sight, Transfer) else None
        if path:
            usual = min(float(before.rate.value[at]) for at in path)
            had |= {at: usual for at in path if not measured[at] and after.rate.value[at] < SLOWER * usual}
    return tuple((after.topology.links[at].name, rate) for at, rate in had.items())


def seen(sight: Sight, known: Watched, conditions: Conditions) -> tuple[Watched, Conditions]:
    """What is known after a sight, and the conditions with it."""
    match sight:
        case Transfer():
            return known.transferred(sight, conditions)
        case Probe():
            return known.probed(sight, conditions)
        case Dispatch():
            return known.dispatched(sight.node, sight.seconds, sight.ended, conditions)
        case _:
            assert_never(sight)
