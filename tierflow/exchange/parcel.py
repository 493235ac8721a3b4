"""Any value on its way over a slow link: the tables, tensors and arrays in it packed, wherever they are nested."""

from __future__ import annotations

import functools
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange import tensors
from tierflow.exchange.codecs import CODECS, Packed, pack, unpack
from tierflow.exchange.codecs.choice import Leaf
from tierflow.exchange.payload import ARRAYS, Payload, encode, restore

__all__ = ["Parts", "leaves", "packed_value", "unpacked_value"]

Parts = tuple[bytes, *tuple[pickle.PickleBuffer, ...]]
"""A pickle, and the buffers that go beside it."""
LEAST = 1 << 12
"""Bytes of a payload below which it goes as it is."""
LOSSLESS = "zstd-1"
"""What packs a payload that the codec does not carry."""
DEPTH, VISITS = 8, 2000
"""How deep a value is looked into, and at how many of its parts."""


def packed_value(value: Any, codec: str, pickler: type[pickle.Pickler] = pickle.Pickler) -> Parts:
    """A value with what is large in it packed by a codec, as a pickle and buffers.

    A part that the codec does not carry, or that it would alter by more than it promises, goes without loss. The
    `pickler` is what pickles the rest.

    Raises:
        PayloadError: there is no such codec.
        pickle.PicklingError: the pickler cannot pickle part of the value.
    """
    file, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
    made: Callable[..., pickle.Pickler] = _packing(pickler)  # type: ignore[arg-type]  # classes are hashable
    made(file, codec, buffers.append).dump(value)
    return (file.getvalue(), *buffers)


def unpacked_value(parts: Parts) -> Any:
    """The value again.

    Raises:
        PayloadError: part of it is damaged.
    """
    pickled, *buffers = parts
    return pickle.loads(pickled, buffers=buffers)


def leaves(value: Any) -> Iterator[Leaf]:
    """What in a value can be packed, found by a walk that ends after so many parts and copies none of them."""
    left, waiting = VISITS, [(value, DEPTH)]
    while waiting and left:
        item, depth = waiting.pop()
        left -= 1
        if _is_large(item, exact=False):
            yield Leaf.of(item)
        elif depth:
            waiting.extend((inner, depth - 1) for inner in _inside(item))


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())[:VISITS]
    if isinstance(value, (list, tuple)):
        return list(value[:VISITS])
    return list(getattr(value, "__dict__", {}).values())


def _is_large(value: Any, *, exact: bool = True) -> bool:
    """Whether it is packed; a subclass of a tensor, which pickles by its own rules, only if it need not be `exact`."""
    torch = tensors.loaded()
    if isinstance(value, (pa.Table, pa.RecordBatch)):
        return bool(value.nbytes >= LEAST)
    if type(value) is np.ndarray:
        return value.nbytes >= LEAST and value.dtype.name in ARRAYS and value.dtype.isnative
    if torch is not None and (type(value) is torch if exact else isinstance(value, torch)):
        return value.numel() * value.element_size() >= LEAST and tensors.carries(value)
    return False


@functools.cache
def _packing(base: type[pickle.Pickler]) -> Callable[..., pickle.Pickler]:
    """A pickler like another that packs what can be packed."""

    class Packing(base):  # type: ignore[valid-type,misc]  # the class is an argument
        def __init__(self, file: io.BytesIO, codec: str, beside: Callable[[pickle.PickleBuffer], None]) -> None:
            super().__init__(file, protocol=5, buffer_callback=beside)
            self._codec = codec

        def reducer_override(self, value: Any) -> Any:
            packed = _packed(encode(value), self._codec) if _is_large(value) else None
            if packed is not None:
                return _unpacked, (packed,)
            other = getattr(super(), "reducer_override", None)
            return NotImplemented if other is None else other(value)

    return Packing


def _packed(payload: Payload, codec: str) -> Packed | None:
    """A payload, packed; None where that would not make it smaller."""
    for name in (codec, LOSSLESS):
        try:
            packed = pack(payload, name)
        except PayloadError:
            if name not in CODECS:
                raise
            continue
        if packed.bound <= CODECS[name].loss * _largest(payload, packed):
            return packed if packed.weight < payload.size else None
    return None


def _largest(payload: Payload, packed: Packed) -> float:
    """The largest magnitude in a tensor or array; of what was packed without loss it does not matter."""
    if not packed.bound:
        return 0.0
    return float(np.abs(np.frombuffer(payload.data, payload.dtype)).max(initial=0.0))


def _unpacked(packed: Packed) -> Any:
    return restore(unpack(packed))
