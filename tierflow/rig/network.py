"""Packets over several lines, hop by hop, so that a shared line is shared. Pure: time is an argument."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Generic, TypeVar

from tierflow.rig.shaping import INFINITY, Line

__all__ = ["Network"]

Item = TypeVar("Item")
_Transit = tuple[Item, int, tuple[int, ...], int]


class Network(Generic[Item]):
    """Lines and the packets in them. `send` a packet along a path of line numbers; `run` gives those that arrived."""

    def __init__(self, lines: Sequence[Line[_Transit[Item]]]) -> None:
        self.lines = lines
        self._events: list[tuple[float, int]] = []
        self._due = [INFINITY] * len(lines)
        self._arrived: list[Item] = []

    def send(self, item: Item, size: int, path: tuple[int, ...], now: float) -> None:
        """Put a packet of `size` bytes on its path, behind everything that moved before `now`."""
        self._carry(now)
        self._forward((item, size, path, 0), now)

    def next_event(self) -> float:
        """When `run` next has something to do; infinite where no packet is under way."""
        if self._arrived:
            return -INFINITY
        return self._events[0][0] if self._events else INFINITY

    def run(self, now: float) -> list[Item]:
        """Carry everything as far as it gets by `now`; the packets at the end of their paths, in order of arrival."""
        self._carry(now)
        arrived, self._arrived = self._arrived, []
        return arrived

    def schedule(self, index: int) -> None:
        """Ask for the line's next event; needed after a line was changed from outside."""
        at = self.lines[index].next_event()
        if at < self._due[index]:
            self._due[index] = at
            heapq.heappush(self._events, (at, index))

    def _carry(self, now: float) -> None:
        events, due = self._events, self._due
        while events and events[0][0] <= now:
            at, index = heapq.heappop(events)
            if at != due[index]:
                continue  # the line was asked to act earlier since, and did
            due[index] = INFINITY
            for arrival, transit in self.lines[index].advance(at):
                self._forward(transit, arrival)
            self.schedule(index)

    def _forward(self, transit: _Transit[Item], now: float) -> None:
        item, size, path, hop = transit
        while hop < len(path):
            line = self.lines[path[hop]]
            if not line.passes:
                if line.offer(size, (item, size, path, hop + 1), now):
                    self.schedule(path[hop])
                return
            line.pass_through(size)
            hop += 1
        self._arrived.append(item)
