"""What a value is, as its envelope says: nothing of its own content but the names and types of columns and layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tierflow.exchange import tensors

__all__ = ["looks"]

MOST_NAMES = 64
"""Columns or layers that are named."""


def looks(value: Any) -> tuple[str, tuple[int, ...], str]:
    """Kind, shape and schema of a value."""
    if isinstance(value, (pa.Table, pa.RecordBatch)):
        kind = "table" if isinstance(value, pa.Table) else "batch"
        return kind, value.shape, _named((column.name, str(column.type)) for column in value.schema)
    if isinstance(value, np.ndarray):
        return "array", value.shape, str(value.dtype)
    tensor = tensors.loaded()
    if tensor is not None and isinstance(value, tensor):
        return "tensor", tuple(value.shape), _dtype(value)
    if isinstance(value, Mapping):
        layers = list(value.items())
        if tensor is not None and layers and all(type(k) is str and isinstance(v, tensor) for k, v in layers):
            return "state", (len(layers),), _named((k, f"{_dtype(v)}{list(v.shape)}") for k, v in layers)
        return type(value).__qualname__, (len(layers),), ""
    shape = (len(value),) if isinstance(value, (list, tuple, set, frozenset)) else ()
    return type(value).__qualname__, shape, ""


def _dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _named(pairs: Iterable[tuple[str, str]]) -> str:
    words = [f"{name}: {kind}" for name, kind in pairs]
    more = [f"and {len(words) - MOST_NAMES} more"] if len(words) > MOST_NAMES else []
    return ", ".join(words[:MOST_NAMES] + more)
