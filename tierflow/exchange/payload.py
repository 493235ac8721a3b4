"""The envelope that a value travels in, and the way in and out of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange import tables, tensors

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Payload", "decode", "encode", "restore"]

Kind = Literal["table", "batch", "tensor"]


@dataclass(frozen=True)
class Payload:
    """A value as it travels: a header, and one buffer that the pickler sends out of band.

    Attributes:
        kind: What the reader gets: an Arrow table, an Arrow record batch or a torch tensor.
        dtype: A tensor's element type as torch names it (``"bfloat16"``); ``"arrow"`` for a table or batch, whose
            schema is in the buffer (:attr:`schema`).
        shape: A tensor's shape; (rows, columns) of a table or batch.
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
        """The Arrow schema of a table or batch; ``None`` for a tensor.

        Raises:
            PayloadError: The buffer does not begin with a schema.
        """
        return None if self.kind == "tensor" else tables.read_schema(self.data)


def encode(value: object) -> Payload:
    """Put a table, a record batch or a tensor into its envelope.

    A tensor that is contiguous is not copied: the payload reads the tensor's own memory, so write to the tensor only
    when the payload is no longer needed (pickling takes the copy).

    Raises:
        PayloadError: The value is none of these, or a tensor that is not dense or not in this machine's memory.
    """
    if isinstance(value, pa.Table):
        return Payload("table", "arrow", value.shape, tables.write(value))
    if isinstance(value, pa.RecordBatch):
        return Payload("batch", "arrow", value.shape, tables.write(value))
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        dtype, shape, data = tensors.write(value)
        return Payload("tensor", dtype, shape, data, value.requires_grad)
    raise PayloadError(
        f"the exchange has no Arrow form for a {type(value).__qualname__}",
        "send a pyarrow table, a record batch or a torch tensor, or pickle it",
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
