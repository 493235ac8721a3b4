"""What one client of a gateway may send: sizes, rates, uploads at once. It has no clock: `now` is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from tierflow.errors import ClientRefused

__all__ = ["Client", "Limits", "Quota"]

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do.

    Attributes:
        size: bytes of one record, as sent and once expanded.
        day: bytes per day, of all that he sends; they come back evenly over the day.
        rate: records per second; so many may come at once.
        uploads: uploads that are under way at once, finished ones not counted.
    """

    size: int = 8 << 20
    day: int = 1 << 30
    rate: float = 20.0
    uploads: int = 4


@dataclass(frozen=True, slots=True)
class Client:
    """A client that was let in: the name that its records are kept under, and what it may do."""

    name: str
    limits: Limits


class Quota:
    """What one client has left."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits, self._now = limits, now
        self._bytes, self._records = float(limits.day), max(limits.rate, 1.0)

    def record(self, now: float) -> None:
        """Count a record. Raises `ClientRefused` where it comes too soon."""
        self._refill(now)
        if self._records < 1.0:
            after = (1.0 - self._records) / self._limits.rate
            raise ClientRefused("often", f"{self._limits.rate:g} records a second are allowed", "send later", after)
        self._records -= 1.0

    def bytes(self, count: int, now: float) -> None:
        """Count bytes that came. Raises `ClientRefused` where they are more than the client has left."""
        self._refill(now)
        if count > self._bytes:
            after = (count - self._bytes) / self._limits.day * DAY
            raise ClientRefused("often", f"{self._limits.day} bytes a day are allowed", "send the rest later", after)
        self._bytes -= count

    def _refill(self, now: float) -> None:
        passed, self._now = max(now - self._now, 0.0), max(now, self._now)
        self._bytes = min(self._limits.day, self._bytes + passed * self._limits.day / DAY)
        self._records = min(max(self._limits.rate, 1.0), self._records + passed * self._limits.rate)
