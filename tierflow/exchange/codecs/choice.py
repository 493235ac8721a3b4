"""What codecs make of a payload, told by a sample of what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from tierflow.cost import Codec
from tierflow.errors import PayloadError
from tierflow.exchange import tables
from tierflow.exchange.codecs.packed import Codec as Packer
from tierflow.exchange.payload import Payload, encode

__all__ = ["RATES", "Leaf", "ratios", "sample"]

BLOCKS, BLOCK = 8, 1 << 14
"""A sample is so many stretches of so many bytes, evenly spread."""
WORTH = 0.95
"""The ratio above which a codec is not worth a look."""

RATES = {
    "lz4": Codec("lz4", 1.0, 500e6, 1000e6),
    "zstd-1": Codec("zstd-1", 1.0, 350e6, 600e6),
    "zstd-3": Codec("zstd-3", 1.0, 200e6, 550e6),
    "zstd-9": Codec("zstd-9", 1.0, 55e6, 650e6),
    "shuffle": Codec("shuffle", 1.0, 280e6, 400e6),
    "columns": Codec("columns", 1.0, 250e6, 220e6),
    "fp16": Codec("fp16", 1.0, 180e6, 700e6),
    "bf16": Codec("bf16", 1.0, 230e6, 1600e6),
    "int8": Codec("int8", 1.0, 140e6, 550e6),
    "int4": Codec("int4", 1.0, 150e6, 400e6),
    "top-0.01": Codec("top-0.01", 1.0, 100e6, 2000e6),
    "top-0.1": Codec("top-0.1", 1.0, 100e6, 1500e6),
}
"""Bytes per second of each on a node of speed 1: measured on tables of sensor data, weights and activations."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A table, batch, tensor or array that is not encoded yet, and the bytes that it takes once it is."""

    value: Any
    size: int

    @classmethod
    def of(cls, value: Any) -> Leaf:
        """The leaf of one of these."""
        arrow = isinstance(value, (pa.Table, pa.RecordBatch))
        return cls(value, tables.size(value) if arrow else int(value.nbytes))


def sample(whole: Payload | Leaf, blocks: int = BLOCKS) -> Payload:
    """A payload of the same kind and type with a small part of the rows or elements, from all over it.

    Of a table no more than those rows is copied.
    """
    small = whole.size <= 2 * blocks * BLOCK
    if isinstance(whole, Leaf):
        if not small and isinstance(whole.value, (pa.Table, pa.RecordBatch)):
            return _of_rows(whole.value, whole.size, blocks)
        whole = encode(whole.value)
    if small:
        return whole
    if whole.kind in ("tensor", "array"):
        return _of_tensor(whole, blocks)
    return _of_rows(tables.read(whole.data, single=whole.kind == "batch", whole=False), whole.size, blocks)


def _of_rows(value: pa.Table | pa.RecordBatch, size: int, blocks: int) -> Payload:
    rows = max(value.num_rows * BLOCK // size, 1)
    starts = np.linspace(0, max(value.num_rows - rows, 0), blocks).astype(int)
    table = pa.concat_tables([pa.table(value.slice(int(start), rows)) for start in dict.fromkeys(starts.tolist())])
    return Payload("table", "arrow", table.shape, tables.write(table))


def _of_tensor(payload: Payload, blocks: int) -> Payload:
    width = max(payload.size // max(int(np.prod(payload.shape)), 1), 1)
    octets = np.frombuffer(payload.data, np.uint8)
    last = (payload.size - BLOCK) // width
    starts = np.linspace(0, last, blocks).astype(int) * width
    taken = np.concatenate([octets[start : start + BLOCK - BLOCK % width] for start in starts])
    return Payload(payload.kind, payload.dtype, (len(taken) // width,), pa.py_buffer(taken))


def ratios(payloads: Sequence[Payload | Leaf], codecs: Iterable[Packer], whole: float = 0.0) -> tuple[Codec, ...]:
    """What these codecs make of payloads, each tried on a sample: those that save anything worth having.

    A codec that another beats in ratio and both rates, at no more loss, is left out. Ratios are rounded, so that like
    data is alike.

    Args:
        payloads: the parts of one value; the largest are looked at and stand for the others.
        codecs: those to try.
        whole: bytes of the value, if it has others than these payloads.
    """
    known = sum(payload.size for payload in payloads)
    largest = sorted(payloads, key=lambda payload: -payload.size)[:BLOCKS]
    parts = [(payload.size, sample(payload, max(BLOCKS // len(largest), 1))) for payload in largest if payload.size]
    looked, found = sum(size for size, _ in parts), list[Codec]()
    for codec in codecs:
        rates = RATES.get(codec.name)
        if rates is None or not looked:
            continue
        saved = sum(size * (1.0 - _ratio(codec, part)) for size, part in parts) / looked
        ratio = round(1.0 - saved * known / max(known, whole), 2)
        if ratio <= WORTH:
            found.append(replace(rates, ratio=max(ratio, 0.01), loss=codec.loss))
    return tuple(codec for codec in found if not any(_beats(other, codec) for other in found))


def _ratio(codec: Packer, part: Payload) -> float:
    """Of a sample; 1 where the codec does not carry it."""
    if not codec.takes(part):
        return 1.0
    try:
        return min(codec.pack(part).weight / part.size, 1.0)
    except PayloadError:
        return 1.0


def _beats(one: Codec, other: Codec) -> bool:
    better = one.ratio <= other.ratio and one.encode >= other.encode and one.decode >= other.decode
    return better and one.loss <= other.loss and one.name != other.name
