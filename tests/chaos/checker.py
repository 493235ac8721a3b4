"""What a history must show, whatever happened in it. Pure.

- What was acknowledged is there at the end, unless its outbox says that its policy dropped it.
- Nothing is there twice, and nothing that nobody tried to put.
- Of one node and key, what was acknowledged before another put began was applied before it.
- The versions that a follower has only rise, are ones that were published, and end at the last.
- Nothing waits any more.
- What no fault could keep from being answered was answered, and no call hangs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from tests.chaos.history import (
    Answered,
    Applied,
    Called,
    Followed,
    History,
    Kept,
    Left,
    Published,
    Tried,
)

__all__ = ["PATIENCE", "check"]

PATIENCE = 60.0
"""Seconds in which each call ends, in its value or in an error."""


def check(history: History, patience: float = PATIENCE) -> list[str]:
    """Each thing that is wrong, as a sentence; none if all is well."""
    return [
        *_there(history),
        *_once(history),
        *_in_order(history),
        *_versions(history),
        *_settled(history),
        *_calls(history, patience),
    ]


def _there(history: History) -> Iterable[str]:
    node = {event.id: event.node for event in history if isinstance(event, Tried)}
    applied = {event.id for event in history if isinstance(event, Applied)}
    excused = Counter({event.node: event.dropped + event.lost for event in history if isinstance(event, Left)})
    missing = defaultdict(list)
    for event in history:
        if isinstance(event, Kept) and event.id not in applied:
            missing[node[event.id]].append(event.id)
    for name, ids in sorted(missing.items()):
        if len(ids) > excused[name]:
            said = f", of which the outbox says that {excused[name]} were dropped" if excused[name] else ""
            yield f"lost: {len(ids)} acknowledged records of {name} were not applied{said}: {_some(ids)}"


def _once(history: History) -> Iterable[str]:
    tried = {event.id for event in history if isinstance(event, Tried)}
    counts = Counter(event.id for event in history if isinstance(event, Applied))
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        yield f"twice: {len(twice)} records were applied more than once: {_some(twice)}"
    made_up = [name for name in counts if name not in tried]
    if made_up:
        yield f"made up: {len(made_up)} records were applied that nobody put: {_some(made_up)}"


def _in_order(history: History) -> Iterable[str]:
    """By time: a record acknowledged before another was tried comes first; those at the same time come in any order."""
    place = {event.id: event.number for event in reversed(history) if isinstance(event, Applied)}
    tried = {event.id: event for event in history if isinstance(event, Tried)}
    kept = {event.id: event.at for event in history if isinstance(event, Kept)}
    of_key = defaultdict(list)
    for name, event in tried.items():
        if name in place:
            of_key[event.node, event.key].append(name)
    for (node, key), names in sorted(of_key.items()):
        acknowledged = sorted((name for name in names if name in kept), key=lambda name: kept[name])
        latest, last, upto = -1, "", 0
        for name in sorted(names, key=lambda name: tried[name].at):
            while upto < len(acknowledged) and kept[acknowledged[upto]] < tried[name].at:
                if place[acknowledged[upto]] > latest:
                    latest, last = place[acknowledged[upto]], acknowledged[upto]
                upto += 1
            if place[name] < latest:
                yield f"order: of {key} of {node}, {name} was applied before {last}, which was put before it"
                break


def _versions(history: History) -> Iterable[str]:
    published: dict[str, int] = {}
    held: dict[tuple[str, str], int] = {}
    for event in history:
        if isinstance(event, Published):
            published[event.name] = max(event.version, published.get(event.name, event.version))
        elif isinstance(event, Followed):
            of = event.node, event.name
            if event.version < held.get(of, event.version):
                yield f"back: {event.node} went from version {held[of]} of {event.name} to {event.version}"
            held[of] = event.version
    for (node, name), version in sorted(held.items()):
        if version < published.get(name, version):
            yield f"behind: {node} ended with version {version} of {name}, the last published is {published[name]}"


def _settled(history: History) -> Iterable[str]:
    for event in history:
        if isinstance(event, Left) and event.records:
            yield f"waits: {event.records} records of {event.node} were still in its outbox at the end"


def _calls(history: History, patience: float) -> Iterable[str]:
    ended = {event.id: event for event in history if isinstance(event, Answered)}
    for event in history:
        if not isinstance(event, Called):
            continue
        answer = ended.get(event.id)
        if answer is None:
            yield f"hangs: call {event.id} never ended"
        elif answer.at - event.at > patience:
            yield f"hangs: call {event.id} took {answer.at - event.at:.1f} s"
        elif event.must and answer.error:
            yield f"unanswered: call {event.id} ended in {answer.error}, though nothing stood in its way"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
