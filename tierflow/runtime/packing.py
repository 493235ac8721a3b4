"""What crosses a slow link goes packed: packed where it is, by a task, unpacked by whoever reads it.

A packed value is an object of Ray's like any other, which the dashboard shows with the task that made it. It unpacks
itself as it is unpickled, so readers know nothing of it; Ray's timeline shows for how long.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Hashable
from typing import Any

import ray
from ray._private.profiling import profile

from tierflow.cost import RAW, Codec
from tierflow.runtime.hook import quiet
from tierflow.runtime.weight import weight
from tierflow.topology import NODE

__all__ = ["ENOUGH", "packed", "ratios", "wrapped"]

ENOUGH = 1 << 17
"""Bytes from which on it is looked at how well a value can be packed."""
AGAIN = 10.0
"""Seconds after which what was made in one way is looked at again: one value is like the other."""
MOST = 256
"""Ways of making values that are remembered."""

_looked: dict[Hashable, tuple[float, tuple[Codec, ...]]] = {}


def ratios(value: Any, of: Hashable, loss: float = 0.0) -> tuple[Codec, ...]:
    """The codecs that make a value smaller, with by how much, of those that alter no number by more than `loss`.

    `of` says how the value was made, by which function say: for some seconds, the next one is taken to be like it.
    """
    size = weight(value)
    if size < ENOUGH:
        return ()
    key = of, type(value), size.bit_length()
    until, found = _looked.get(key, (0.0, ()))
    if time.monotonic() >= until:
        found = _look(value, size)
        _looked.pop(key, None)
        _looked[key] = time.monotonic() + AGAIN, found
        if len(_looked) > MOST:
            del _looked[next(iter(_looked))]
    return tuple(codec for codec in found if codec.loss <= loss)


def packed(ref: Any, codec: Codec, node: str) -> Any:
    """A reference to the value of another, packed on the node where that is."""
    with quiet():  # nothing but a name and a reference: who packs it reads of the caller nothing
        return (
            _packer().options(label_selector={NODE: node}, name=f"pack@{node} ({codec.name})").remote(ref, codec.name)
        )


def wrapped(value: Any, codec: str) -> Any:
    """A value of this process that is pickled packed, and comes out as itself; as it is where that cannot be."""
    from ray.cloudpickle import CloudPickler

    from tierflow.exchange.parcel import packed_value
    from tierflow.runtime.arrow import carry_arrow

    carry_arrow(always=True)
    try:
        return _Wrapped(packed_value(value, codec, CloudPickler), codec)
    except Exception:  # whatever is in the way of packing it is not in the way of sending it
        return value


def _look(value: Any, size: int) -> tuple[Codec, ...]:
    from tierflow.exchange.codecs import CODECS
    from tierflow.exchange.codecs.choice import ratios
    from tierflow.exchange.parcel import leaves

    return ratios(list(leaves(value)), [codec for codec in CODECS.values() if codec.name != RAW.name], size)


@functools.cache
def _packer() -> Any:
    return ray.remote(num_cpus=0)(wrapped)


class _Wrapped:
    def __init__(self, parts: Any, codec: str) -> None:
        self._parts, self._codec = parts, codec

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _unwrapped, (self._codec, *self._parts)


def _unwrapped(codec: str, *parts: Any) -> Any:
    from tierflow.exchange.parcel import unpacked_value

    with profile("unpack", {"name": f"unpack ({codec})"}):
        return unpacked_value(parts)
