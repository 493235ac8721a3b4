"""Lossless codecs that know nothing of what they pack, and the one that puts like bytes of numbers side by side."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tierflow.exchange.codecs.packed import Packed, damaged, of_payload
from tierflow.exchange.payload import Payload

__all__ = ["Raw", "Shuffled", "Squeezed", "planes", "squeeze", "unplanes", "unsqueeze"]

WIDTHS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2}
"""Bytes of the elements that are worth a shuffle, by torch's names."""


def squeeze(data: pa.Buffer, algorithm: str, level: int | None = None) -> pa.Buffer:
    """`data`, compressed as a whole."""
    return pa.Codec(algorithm, level).compress(data)


def unsqueeze(data: pa.Buffer, algorithm: str, size: int) -> pa.Buffer:
    """What was compressed, which must be `size` bytes: no more than those are ever in memory.

    Raises:
        PayloadError: they are more or fewer, or `data` is damaged.
    """
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), algorithm) as stream:
            found = stream.read_buffer(size)
            more = stream.read(1)
    except (OSError, pa.ArrowException, EOFError) as error:
        raise damaged(str(error)) from error
    if found.size != size or more:
        raise damaged(f"it says {size} bytes and holds {'more' if more else found.size}")
    return found


def planes(data: pa.Buffer, width: int) -> pa.Buffer:
    """The first bytes of all elements, then all second ones, and so on: those of floats are alike among themselves.

    Source: https://www.blosc.org (shuffle filter).
    """
    return pa.py_buffer(np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(-1, width).T))


def unplanes(data: pa.Buffer, width: int) -> pa.Buffer:
    """What `planes` was given."""
    return pa.py_buffer(np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(width, -1).T))


class Raw:
    """No packing."""

    name, loss = "raw", 0.0

    def takes(self, payload: Payload) -> bool:
        """See `Codec`."""
        return True

    def pack(self, payload: Payload) -> Packed:
        """See `Codec`."""
        return of_payload(self.name, payload, [payload.data])

    def unpack(self, packed: Packed) -> pa.Buffer:
        """See `Codec`."""
        (data,) = packed.parts
        if data.size != packed.size:
            raise damaged(f"it says {packed.size} bytes and holds {data.size}")
        return data


class Squeezed:
    """All bytes through LZ4 (a frame) or Zstandard (RFC 8878)."""

    loss = 0.0

    def __init__(self, algorithm: str, level: int | None = None) -> None:
        self._algorithm, self._level = algorithm, level
        self.name = algorithm if level is None else f"{algorithm}-{level}"

    def takes(self, payload: Payload) -> bool:
        """See `Codec`."""
        return True

    def pack(self, payload: Payload) -> Packed:
        """See `Codec`."""
        return of_payload(self.name, payload, [squeeze(payload.data, self._algorithm, self._level)])

    def unpack(self, packed: Packed) -> pa.Buffer:
        """See `Codec`."""
        (data,) = packed.parts
        return unsqueeze(data, self._algorithm, packed.size)


class Shuffled:
    """A tensor's bytes in planes, through Zstandard."""

    name, loss = "shuffle", 0.0

    def takes(self, payload: Payload) -> bool:
        """See `Codec`."""
        return payload.kind in ("tensor", "array") and payload.dtype in WIDTHS

    def pack(self, payload: Payload) -> Packed:
        """See `Codec`."""
        return of_payload(self.name, payload, [squeeze(planes(payload.data, WIDTHS[payload.dtype]), "zstd", 1)])

    def unpack(self, packed: Packed) -> pa.Buffer:
        """See `Codec`."""
        (data,) = packed.parts
        return unplanes(unsqueeze(data, "zstd", packed.size), WIDTHS[packed.dtype])
