"""What crosses a slow link goes packed: packed where it is, by a task, unpacked by whoever reads it.

A packed value is an object of Ray's like any other, which the dashboard shows with the task that made it. It unpacks
itself as it is unpickled, so readers know nothing of it; Ray's timeline shows for how long.
"""

from __future__ import annotations

import functools
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import ray
from ray._private.profiling import profile
from ray.cloudpickle import CloudPickler

from tierflow.cost import RAW, Codec
from tierflow.runtime.taint import free
from tierflow.runtime.weight import weight
from tierflow.topology import NODE

__all__ = ["ENOUGH", "Packages", "ratios", "unpacking", "wrapped"]

ENOUGH = 1 << 17
"""Bytes from which on it is looked at how well a value can be packed."""
AGAIN = 10.0
"""Seconds after which what was made in one way is looked at again: one value is like the other."""
MOST = 256
"""Ways of making values that are remembered."""

KEPT = 1 << 26
"""Bytes of packed values that are kept where they are, for whoever wants the same value again."""

_spent = threading.local()
_COUNTED = (ray.ObjectRef, ray.ObjectRefGenerator, ray.actor.ActorHandle)

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


def unpacking() -> float:
    """Seconds that this thread has spent on unpacking so far."""
    return getattr(_spent, "unpacking", 0.0)


class Packages:
    """The packed forms that this process asked for: each is made once, and crosses once, for all who want it soon."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, str, str], tuple[float, float, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, ref: Any, size: float, codec: Codec, node: str) -> Any:
        """A reference to the value of another, which has `size` bytes, packed on the node where that is."""
        now, key = time.monotonic(), (ref.binary(), codec.name, node)
        with self._lock:
            held = sum(bytes_ for _, bytes_, _ in self._kept.values())
            while self._kept and (held > KEPT or now - next(iter(self._kept.values()))[0] > AGAIN):
                held -= self._kept.popitem(last=False)[1][1]
            if key in self._kept:
                return self._kept[key][2]
            way = _packer().options(
                label_selector={NODE: node},
                fallback_strategy=[{"label_selector": {NODE: f"!{node}"}}],  # if it has died: Ray makes the value anew
                name=f"pack@{node} ({codec.name})",
            )
            package = way.remote(ref, free(codec.name))
            if size * codec.ratio <= KEPT:
                self._kept[key] = now, size * codec.ratio, package
            return package

    def forget(self) -> None:
        """Keep none of them any more: one is lost."""
        with self._lock:
            self._kept.clear()


def wrapped(value: Any, codec: str) -> Any:
    """A value of this process that is pickled packed, and comes out as itself; as it is where that cannot be."""
    from tierflow.exchange.parcel import packed_value
    from tierflow.runtime.arrow import carry_arrow

    carry_arrow(always=True)
    try:
        return _Wrapped(packed_value(value, codec, _Pickler), codec)
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


class _Pickler(CloudPickler):
    """Refuses references and handles: Ray counts who holds them only where it pickles itself."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _COUNTED):
            raise pickle.PicklingError(f"a {type(value).__name__} goes with Ray's own pickle")
        return super().reducer_override(value)  # type: ignore[no-untyped-call]


class _Wrapped:
    def __init__(self, parts: Any, codec: str) -> None:
        self._parts, self._codec = parts, codec

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _unwrapped, (self._codec, *self._parts)


def _unwrapped(codec: str, *parts: Any) -> Any:
    began = time.monotonic()
    from tierflow.exchange.parcel import unpacked_value

    with profile("unpack", {"name": f"unpack ({codec})"}):
        value = unpacked_value(parts)
    _spent.unpacking = unpacking() + time.monotonic() - began
    return value
