"""How often one address may knock, so that guesses are slow and one machine does not keep the others out."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["Knocks"]


class Knocks:
    """A bucket of `burst` knocks for each address, which fills by `rate` a second; the latest `most` are remembered.

    It has no clock: `now` is an argument, in seconds.
    """

    def __init__(self, burst: float = 10.0, rate: float = 0.5, most: int = 4096) -> None:
        self._burst, self._rate, self._most = burst, rate, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def heard(self, address: str, now: float) -> bool:
        """Count a knock; whether it is to be answered."""
        left, when = self._left.pop(address, (self._burst, now))
        left = min(self._burst, left + max(now - when, 0.0) * self._rate)
        self._left[address] = (max(left - 1.0, 0.0), now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return left >= 1.0
