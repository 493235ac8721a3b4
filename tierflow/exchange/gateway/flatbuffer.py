"""Reading flatbuffers (https://flatbuffers.dev/internals/) of strangers: every offset is held to the bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["Malformed", "Table"]

_FORMS = {1: "<b", 2: "<h", 4: "<i", 8: "<q"}


class Malformed(ValueError):
    """Bytes that are not what they say."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table at `at` of `data`. A field that is absent is its default."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The root table. Raises `Malformed`."""
        return cls(data, _unsigned(data, 0))

    def integer(self, slot: int, width: int, default: int = 0) -> int:
        """The signed integer of so many bytes in a slot. Raises `Malformed`."""
        place = self._place(slot)
        return default if place is None else _signed(self.data, place, width)

    def table(self, slot: int) -> Table | None:
        """The table in a slot. Raises `Malformed`."""
        place = self._place(slot)
        return None if place is None else Table(self.data, place + _unsigned(self.data, place))

    def pairs(self, slot: int, most: int) -> list[tuple[int, int]]:
        """The vector in a slot, whose elements are two 8-byte integers each. Raises `Malformed`, also above `most`."""
        place = self._place(slot)
        if place is None:
            return []
        start = place + _unsigned(self.data, place)
        count = _unsigned(self.data, start)
        end = start + 4 + 16 * count
        if count > most or end > len(self.data):
            raise Malformed(f"a list of {count} elements does not fit")
        return list(struct.iter_unpack("<qq", self.data[start + 4 : end]))

    def _place(self, slot: int) -> int | None:
        vtable = self.at - _signed(self.data, self.at, 4)
        size = _signed(self.data, vtable, 2) & 0xFFFF
        if 6 + 2 * slot > size:
            return None
        offset = _signed(self.data, vtable + 4 + 2 * slot, 2) & 0xFFFF
        return self.at + offset if offset else None


def _signed(data: bytes, at: int, width: int) -> int:
    if at < 0 or at + width > len(data):
        raise Malformed("an offset leads out of the message")
    (value,) = struct.unpack_from(_FORMS[width], data, at)
    return int(value)


def _unsigned(data: bytes, at: int) -> int:
    return _signed(data, at, 4) & 0xFFFFFFFF
