"""A clock that stands still until it is told to move on."""

from __future__ import annotations

__all__ = ["MockClock"]


class MockClock:
    """Virtual time in seconds. It never goes back."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    @property
    def now(self) -> float:
        """Seconds since the clock was made, or since the time it was made with."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises `ValueError` for a negative time."""
        if seconds < 0:
            raise ValueError(f"time does not go back ({seconds} s)")
        self._now += seconds

    def reach(self, moment: float) -> None:
        """Let time pass until `moment`; nothing happens if that was already."""
        self._now = max(self._now, moment)

    def __repr__(self) -> str:
        return f"MockClock({self._now})"
