"""About how many bytes a value takes on a link, found in microseconds and without loading pyarrow: for the cost model.

`exchange.size_of` is exact and pickles; this looks at a few items of a long container and takes the
rest to be like them.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

__all__ = ["weight"]

SCALAR = 16
"""Bytes of a number and of what cannot be looked into."""
LOOKED_AT = 16
"""Items of a container that are looked at."""
DEPTH, VISITS = 8, 2000
"""How deep nested values are looked at, and how many in all."""


def weight(value: Any) -> int:
    """Bytes of a value, about; buffers (arrays, tensors, Arrow data, bytes) are exact. Never raises."""
    try:
        return _weight(value, DEPTH, [VISITS])
    except Exception:  # what a property of a user's object raises is not this call's concern
        return SCALAR


def _weight(value: Any, depth: int, left: list[int]) -> int:
    """The weight, down to a depth and as long as there are visits `left`."""
    left[0] -= 1
    if value is None or isinstance(value, (int, float)) or left[0] <= 0 or depth == 0:
        return SCALAR
    if isinstance(value, (str, bytes, bytearray)):
        return len(value) + SCALAR
    if isinstance(value, (FunctionType, BuiltinFunctionType, MethodType, type)):
        return SCALAR
    size = getattr(value, "nbytes", None)  # arrays, tensors, Arrow tables, batches and arrays, memoryviews
    if isinstance(size, int):
        return size + SCALAR
    if isinstance(value, Mapping):
        return _items(value.keys(), len(value), depth, left) + _items(value.values(), len(value), depth, left)
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return _items(value, len(value), depth, left)
    if callable(getattr(value, "memory_usage", None)):  # a pandas frame or series
        usage = value.memory_usage()
        return int(getattr(usage, "sum", lambda: usage)()) + SCALAR
    inside = getattr(value, "__dict__", None)
    return max(sys.getsizeof(value, SCALAR), SCALAR) if inside is None else SCALAR + _weight(inside, depth - 1, left)


def _items(items: Iterable[Any], count: int, depth: int, left: list[int]) -> int:
    if not count:
        return SCALAR
    looked_at = min(count, LOOKED_AT)
    total = sum(_weight(item, depth - 1, left) for item in islice(items, looked_at))
    return SCALAR + total * count // looked_at
