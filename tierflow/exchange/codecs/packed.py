"""What a codec makes of a payload: a header that says how to undo it, and buffers that go beside the pickle."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange.payload import Kind, Payload

__all__ = ["Codec", "Packed", "damaged", "of_payload"]

Note = str | int | float | bytes


@dataclass(frozen=True)
class Packed:
    """A payload in packed form.

    Attributes:
        codec: the name of what packed it.
        kind, dtype, shape, grad: of the payload.
        size: bytes of the payload's buffer.
        notes: what the codec needs to undo it, by name.
        parts: the packed bytes.
        bound: the largest absolute difference between what goes in and what comes out; 0 of what is lossless.
        check: CRC-32 of the parts, one after the other.
    """

    codec: str
    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    grad: bool
    size: int
    parts: tuple[pa.Buffer, ...]
    notes: Mapping[str, Note] = field(default_factory=dict)
    bound: float = 0.0
    check: int = 0

    def __reduce__(self) -> tuple[Callable[..., Packed], tuple[Any, ...]]:
        return Packed, (
            self.codec, self.kind, self.dtype, self.shape, self.grad, self.size, self.parts, dict(self.notes),
            self.bound, self.check,
        )  # fmt: skip

    @property
    def weight(self) -> int:
        """Bytes of the parts: what a link carries, but for some hundred bytes of header."""
        return sum(part.size for part in self.parts)

    @property
    def elements(self) -> int:
        """Of a tensor."""
        return math.prod(self.shape)

    def payload(self, data: pa.Buffer) -> Payload:
        """The payload again, around its unpacked bytes."""
        return Payload(self.kind, self.dtype, self.shape, data, self.grad)


class Codec(Protocol):
    """A way to pack payloads.

    `name` says which, also in a packed payload. `loss` is 0 where the same bytes come out. Otherwise no element is off
    by more than this share of the largest magnitude in its tensor; `Packed.bound` says by how much exactly, also where
    that is more (half floats of numbers below 6e-5, say).
    """

    name: str
    loss: float

    def takes(self, payload: Payload) -> bool:
        """Whether it packs what has this kind and type; what it finds inside may still be in the way."""

    def pack(self, payload: Payload) -> Packed:
        """Pack it. Raises `PayloadError` where its values are in the way."""

    def unpack(self, packed: Packed) -> pa.Buffer:
        """The payload's bytes. Raises `PayloadError`, or what a broken buffer raises in numpy and Arrow."""


def of_payload(
    codec: str, payload: Payload, parts: Sequence[pa.Buffer], notes: Mapping[str, Note] | None = None, bound: float = 0
) -> Packed:
    """A payload, packed."""
    check = 0
    for part in parts:
        check = zlib.crc32(part, check)
    return Packed(
        codec, payload.kind, payload.dtype, payload.shape, payload.grad, payload.size, tuple(parts), notes or {},
        float(bound), check,
    )  # fmt: skip


def damaged(why: str) -> PayloadError:
    """The error of what cannot be unpacked."""
    return PayloadError(f"a packed payload cannot be opened ({why})", "send it again: it was damaged on its way")
