"""What crosses a slow link goes packed: packed by a task where it is, unpacked by whoever reads it.

A packed value is an object of Ray's like any other, which the dashboard shows with the task that made it. It unpacks
itself as it is unpickled, so readers know nothing of it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import ray

from tierflow.cost import RAW, Codec
from tierflow.errors import PayloadError
from tierflow.runtime.weight import weight
from tierflow.topology import NODE

__all__ = ["ENOUGH", "packed", "ratios"]

ENOUGH = 1 << 18
"""Bytes from which on it is looked at how well a value can be packed."""
AGAIN = 10.0
"""Seconds after which results of a function are looked at again: one is like the other."""

_looked: dict[Any, tuple[float, tuple[Codec, ...]]] = {}


def ratios(value: Any, of: Any) -> tuple[Codec, ...]:
    """The codecs that make a value smaller, with by how much; from the last look at one that was made in the same way.

    `of` says in which way: a function, say. None for what nothing is like.
    """
    if weight(value) < ENOUGH:
        return ()
    until, found = _looked.get(of, (0.0, ()))
    if of is None or time.monotonic() >= until:
        found = _look(value)
        _looked[of] = time.monotonic() + AGAIN, found
    return found


def packed(ref: Any, codec: Codec, node: str) -> Any:
    """A reference to the value of another, packed on the node where that is."""
    return _packer().options(label_selector={NODE: node}, name=f"pack@{node} ({codec.name})").remote(ref, codec.name)


def _look(value: Any) -> tuple[Codec, ...]:
    from tierflow.exchange import encode
    from tierflow.exchange.codecs import CODECS
    from tierflow.exchange.codecs.choice import ratios

    try:
        payload = encode(value)
    except PayloadError:
        return ()
    return ratios(payload, [codec for codec in CODECS.values() if codec.lossless and codec.name != RAW.name])


@functools.cache
def _packer() -> Any:
    return ray.remote(num_cpus=0)(_pack)


def _pack(value: Any, codec: str) -> Any:
    """The value, packed; as it is where the codec cannot carry it."""
    from tierflow.exchange import encode
    from tierflow.exchange.codecs import pack
    from tierflow.runtime.arrow import carry_arrow

    carry_arrow(always=True)
    try:
        return _Packed(pack(encode(value), codec))
    except PayloadError:
        return value


class _Packed:
    """What is pickled so that it comes out unpacked."""

    def __init__(self, packed: Any) -> None:
        self._packed = packed

    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[Any]]:
        return _unpacked, (self._packed,)


def _unpacked(packed: Any) -> Any:
    from tierflow.exchange import decode
    from tierflow.exchange.codecs import unpack

    return decode(unpack(packed))
