"""The envelope that a value travels in, and the way in and out of it."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange import tables, tensors

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Payload", "decode", "encode", "restore"]

Kind = Literal["table", "batch", "tensor", "array"]

ARRAYS = frozenset(
    ["bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)), "float16", "float32", "float64"]
)
"""Element types of arrays, by numpy's names."""


@dataclass(frozen=True)
class Payload:
    """A value as it travels: a header, and one buffer that the pickler sends out of band.

    Attributes:
        kind: What the reader gets: an Arrow table, an Arrow record batch, a torch tensor or a numpy array.
        dtype: A tensor's or array's element type as torch and numpy name it (``"bfloat16"``); ``"arrow"`` for a table
            or batch, whose schema is in the buffer (:attr:`schema`).
        shape: A tensor's or array's shape; (rows, columns) of a table or batch.
        data: The Arrow IPC stream, or the tensor's elements in row-major order and this machine's byte order.
        grad: Whether a tensor asks for its gradient.
    """

    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    data: pa.Buffer
    grad: bool = False

    def __reduce__(self) -> tuple[Callable[..., Payload], tuple[Any, ...]]:
        return Payload, (self.kind, self.dtype, self.shape, self.data, self.grad)

    @property
    def size(self) -> int:
        """Bytes of the buffer: what a link carries, but for some hundred bytes of header."""
        return int(self.data.size)

    @property
    def schema(self) -> pa.Schema | None:
        """The Arrow schema of a table or batch; ``None`` for a tensor or array.

        Raises:
            PayloadError: The buffer does not begin with a schema.
        """
        return None if self.kind in ("tensor", "array") else tables.read_schema(self.data)


def encode(value: object) -> Payload:
    """Put a table, a record batch, a tensor or an array into its envelope.

    A tensor or array that is contiguous is not copied: the payload reads its own memory, so write to it only when the
    payload is no longer needed (pickling takes the copy).

    Raises:
        PayloadError: The value is none of these, a tensor that is not dense or not in this machine's memory, or an
            array of elements that are not numbers.
    """
    if isinstance(value, pa.Table):
        return Payload("table", "arrow", value.shape, tables.write(value))
    if isinstance(value, pa.RecordBatch):
        return Payload("batch", "arrow", value.shape, tables.write(value))
    if isinstance(value, np.ndarray) and value.dtype.name in ARRAYS:
        octets = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return Payload("array", value.dtype.name, value.shape, pa.py_buffer(octets))
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        dtype, shape, data = tensors.write(value)
        return Payload("tensor", dtype, shape, data, value.requires_grad)
    raise PayloadError(
        f"the exchange has no Arrow form for a {type(value).__qualname__}",
        "send a pyarrow table, a record batch, a torch tensor or a numpy array of numbers, or pickle it",
    )


def decode(payload: Payload) -> Any:
    """Take the value out of an envelope of any origin, checking it all: the header, the lengths and every Arrow value.

    Raises:
        PayloadError: The buffer is cut short, damaged, or not what the header says.
    """
    return _open(payload, whole=True)


def restore(payload: Payload) -> Any:
    """Take the value out of an envelope that the fabric's own pickler made: checks lengths, reads no data.

    Raises:
        PayloadError: The buffer is cut short, or not what the header says.
    """
    return _open(payload, whole=False)


def _open(payload: Payload, *, whole: bool) -> Any:
    if payload.kind == "tensor":
        return tensors.read(payload.dtype, payload.shape, payload.data, grad=payload.grad)
    if payload.kind == "array":
        return _array(payload)
    if payload.kind not in ("table", "batch"):
        raise PayloadError(
            f"a payload of the kind {payload.kind!r} is unknown", "send it from the same tierflow version"
        )
    value = tables.read(payload.data, single=payload.kind == "batch", whole=whole)
    if tuple(value.shape) != tuple(payload.shape):
        raise PayloadError(
            f"the payload says {payload.shape} rows and columns and holds {tuple(value.shape)}",
            "send it again: it was damaged on its way",
        )
    return value


def _array(payload: Payload) -> np.ndarray[Any, Any]:
    """A view of the payload's bytes, read-only as what Ray gives is."""
    wanted = math.prod(payload.shape) * np.dtype(payload.dtype).itemsize if payload.dtype in ARRAYS else -1
    if wanted != payload.data.size or min(payload.shape, default=0) < 0:
        raise PayloadError(
            f"an array of {payload.dtype} with the shape {payload.shape} does not take {payload.data.size} bytes",
            "send it again: it was damaged on its way",
        )
    return np.frombuffer(payload.data, payload.dtype).reshape(payload.shape)
