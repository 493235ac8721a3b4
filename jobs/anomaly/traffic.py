"""Bytes on each link: what it carried during the run, and what raw readings would have put on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tierflow

__all__ = ["Link", "Meter", "route"]


@dataclass(frozen=True)
class Link:
    """One direction of a link, in bytes: ``measured`` at its interface, Ray's own traffic included; ``raw`` is what
    sending every reading to the cloud would have put on it besides, payload only (computed).
    """

    name: str
    measured: int
    raw: int


class Meter:
    """Reads the links' counters before the run and after it."""

    def __init__(self) -> None:
        self.before = tierflow.traffic()

    def read(self, raw: Sequence[tuple[str, int]], cloud: str) -> tuple[Link, ...] | None:
        """What each link has carried since; None where links are not shaped and so nobody counts.

        ``raw`` is (node, bytes of its readings) for each device, ``cloud`` the node they would have gone to.
        """
        after = tierflow.traffic()
        would = dict.fromkeys(after, 0)
        for node, size in raw:
            for name in route(list(after), node, cloud):
                would[name] += size
        links = tuple(Link(name, value - self.before.get(name, 0), would[name]) for name, value in after.items())
        return links or None


def route(links: Sequence[str], source: str, target: str) -> list[str]:
    """The links, named "a->b", of the path with the fewest of them from one vertex to another; [] where none leads."""
    leaving: Mapping[str, list[tuple[str, str]]] = {name.split("->")[0]: [] for name in links}
    for name in sorted(links):
        start, end = name.split("->")
        leaving[start].append((name, end))
    came: dict[str, tuple[str, str]] = {}
    queue = deque([source])
    while queue and target not in came:
        at = queue.popleft()
        for name, end in leaving.get(at, []):
            if end not in came and end != source:
                came[end] = (name, at)
                queue.append(end)
    path: list[str] = []
    at = target
    while at in came:
        name, at = came[at]
        path.insert(0, name)
    return path
