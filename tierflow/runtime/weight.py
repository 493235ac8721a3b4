"""About how many bytes a value takes on a link, found in microseconds and without loading pyarrow: for the cost model.

`exchange.size_of` is exact and pickles; this looks at a few items of a long container and takes the
rest to be like them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any

__all__ = ["weight"]

SCALAR = 16
"""Bytes of a number and of what cannot be looked into."""
LOOKED_AT = 16
"""Items of a container that are looked at."""
DEPTH = 6


def weight(value: Any) -> int:
    """Bytes of a value, about; buffers (arrays, tensors, Arrow data, bytes) are exact."""
    return _weight(value, DEPTH)


def _weight(value: Any, depth: int) -> int:
    kind = type(value)
    if kind in (int, float, bool) or value is None:
        return SCALAR
    if kind in (str, bytes, bytearray):
        return len(value) + SCALAR
    size = getattr(value, "nbytes", None)  # arrays, tensors, Arrow tables, batches and arrays, memoryviews
    if isinstance(size, int):
        return size + SCALAR
    if depth == 0:
        return SCALAR
    if kind in (list, tuple, set, frozenset):
        return _items(value, len(value), depth)
    if kind is dict:
        return _items(value.keys(), len(value), depth) + _items(value.values(), len(value), depth)
    inside = getattr(value, "__dict__", None)
    if inside is None:
        return SCALAR if isinstance(value, type) else max(sys.getsizeof(value, SCALAR), SCALAR)
    return SCALAR if isinstance(value, type) or callable(value) else SCALAR + _weight(inside, depth - 1)


def _items(items: Iterable[Any], count: int, depth: int) -> int:
    if not count:
        return SCALAR
    looked_at = min(count, LOOKED_AT)
    total = sum(_weight(item, depth - 1) for item in islice(items, looked_at))
    return SCALAR + total * count // looked_at
