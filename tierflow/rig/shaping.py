"""The mathematics of one shaped line. Time is an argument; nothing here reads a clock or a socket.

A packet that is offered waits in a byte-limited queue (drop-tail), is sent at the line's rate, is lost or not, and
arrives after the delay and the jitter, in the order of sending. A cut line drops what is in it and what it is offered.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["INFINITY", "LEAST_QUEUE", "Line", "LineCounters", "Shape", "queue_limit"]

INFINITY = math.inf
LEAST_QUEUE = 64 * 1024
"""Bytes that every queue holds, however slow its line."""
_QUEUE_TIME = 0.1

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a line does to packets.

    `rate` in bytes per second of IP packets (infinite: no limit); `delay` in seconds, the least that a packet takes;
    `jitter` in seconds, added uniformly from 0 to this; `loss` the share of packets lost, 0 to 1.
    """

    rate: float = INFINITY
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0

    @property
    def transparent(self) -> bool:
        """Whether a packet passes at once and always."""
        return self.rate == INFINITY and not (self.delay or self.jitter or self.loss)


@dataclass(frozen=True, slots=True)
class LineCounters:
    """What a line carried (`bytes`, `packets`: arrived at its end) and what it did not (`dropped` packets)."""

    bytes: int
    packets: int
    dropped: int


def queue_limit(shape: Shape) -> float:
    """Bytes that may wait at a line: a tenth of a second or its round trip at the rate, and never under 64 KiB."""
    return max(LEAST_QUEUE, shape.rate * max(_QUEUE_TIME, 2 * shape.delay))


class Line(Generic[Item]):
    """One direction of one link: `offer` packets at its near end, `advance` gives those that reached its far end.

    Calls must not go back in time. `seed` fixes which packets are lost and how they jitter.
    """

    __slots__ = (
        "_bytes", "_departs", "_dropped", "_flying", "_latest", "_limit", "_packets", "_queue", "_random", "_waiting",
        "shape", "up",
    )  # fmt: skip

    def __init__(self, shape: Shape, seed: int | str = 0) -> None:
        self.shape = shape
        self.up = True
        self._limit = queue_limit(shape)
        self._random = random.Random(seed)
        self._queue: deque[tuple[int, Item]] = deque()
        self._flying: deque[tuple[float, int, Item]] = deque()
        self._waiting = 0
        self._departs = INFINITY
        self._latest = -INFINITY
        self._bytes = self._packets = self._dropped = 0

    @property
    def counters(self) -> LineCounters:
        """What it carried and dropped so far."""
        return LineCounters(self._bytes, self._packets, self._dropped)

    @property
    def queued(self) -> int:
        """Packets that wait, are being sent or are on their way."""
        return len(self._queue) + len(self._flying)

    @property
    def passes(self) -> bool:
        """Whether a packet offered now is at the far end at once."""
        return self.up and self.shape.transparent and not self._queue and not self._flying

    def pass_through(self, size: int) -> None:
        """Count a packet of `size` bytes that passed at once; only where `passes`."""
        self._bytes += size
        self._packets += 1

    def offer(self, size: int, item: Item, now: float) -> bool:
        """Take a packet of `size` bytes; False where it is dropped because the line is cut or its queue is full."""
        if not self.up or self._waiting + size > self._limit:
            self._dropped += 1
            return False
        if not self._queue:
            self._departs = now + size / self.shape.rate
        self._queue.append((size, item))
        self._waiting += size
        return True

    def next_event(self) -> float:
        """When `advance` next has something to do; infinite where nothing is in the line."""
        if self._flying and self._flying[0][0] < self._departs:
            return self._flying[0][0]
        return self._departs

    def advance(self, now: float) -> list[tuple[float, Item]]:
        """Do everything that is due by `now`; the packets that arrived, each with the time it did."""
        while self._departs <= now:
            self._send()
        arrived: list[tuple[float, Item]] = []
        flying = self._flying
        while flying and flying[0][0] <= now:
            at, size, item = flying.popleft()
            self._bytes += size
            self._packets += 1
            arrived.append((at, item))
        return arrived

    def reshape(self, shape: Shape, now: float) -> None:
        """Behave as `shape` from `now` on: also the rest of the packet being sent, but not those on their way.

        Nothing overtakes, so a shorter delay shows once the packets under the longer one have arrived. Call `advance`
        first.
        """
        if self._queue:
            left = (self._departs - now) * self.shape.rate if self.shape.rate != INFINITY else 0.0
            self._departs = now + left / shape.rate
        self.shape = shape
        self._limit = queue_limit(shape)

    def cut(self) -> None:
        """Carry nothing: drop what waits and what is on its way, and everything offered until `heal`."""
        self.up = False
        self._dropped += self.queued
        self._queue.clear()
        self._flying.clear()
        self._waiting = 0
        self._departs = INFINITY

    def heal(self) -> None:
        """Carry again what is offered from now on."""
        self.up = True

    def _send(self) -> None:
        """The head of the queue has been sent: it is lost or on its way, and the next one begins."""
        sent = self._departs
        size, item = self._queue.popleft()
        self._waiting -= size
        self._departs = sent + self._queue[0][0] / self.shape.rate if self._queue else INFINITY
        shape = self.shape
        if shape.loss and self._random.random() < shape.loss:
            self._dropped += 1
            return
        arrives = sent + shape.delay
        if shape.jitter:
            arrives += self._random.random() * shape.jitter
        self._latest = max(self._latest, arrives)
        self._flying.append((self._latest, size, item))
