"""What is remembered by key, as long as it is among the latest."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

__all__ = ["Latest"]

T = TypeVar("T")


class Latest(OrderedDict[bytes, T]):
    """Values by key, of which there are `most` at the most: the oldest is given up for a new one."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: bytes, value: T) -> None:
        """Remember a value."""
        self[key] = value
        if len(self) > self._most:
            self.popitem(last=False)
