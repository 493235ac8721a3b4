"""Which codec a payload is packed with for a link: a sample of what it holds decides, and the link's rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from tierflow.cost.codec import RAW, Codec
from tierflow.errors import PayloadError
from tierflow.exchange import tables
from tierflow.exchange.codecs.packed import Codec as Packer
from tierflow.exchange.payload import Payload

__all__ = ["RATES", "Way", "choose", "sample"]

BLOCKS, BLOCK = 8, 1 << 14
"""A sample is so many stretches of so many bytes, evenly spread."""
MARGIN = 0.95
"""A codec must need less than this share of the raw time: a sample is not the whole."""

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
class Way:
    """Between the one who has a payload and the one who reads it: bytes per second, and the speeds of both nodes."""

    rate: float
    source_speed: float = 1.0
    target_speed: float = 1.0

    def seconds(self, codec: Codec, size: int) -> float:
        """From the payload to the payload again, for so many bytes of it."""
        packing = 1.0 / (codec.encode * self.source_speed) + 1.0 / (codec.decode * self.target_speed)
        return size * (packing + codec.ratio / self.rate)


def sample(payload: Payload) -> Payload:
    """A payload of the same kind and type with a small part of the rows or elements, from all over it."""
    if payload.size <= 2 * BLOCKS * BLOCK:
        return payload
    if payload.kind == "tensor":
        return _of_tensor(payload)
    value = tables.read(payload.data, single=payload.kind == "batch", whole=False)
    rows = max(value.num_rows * BLOCK // payload.size, 1)
    starts = np.linspace(0, max(value.num_rows - rows, 0), BLOCKS).astype(int)
    table = pa.concat_tables([pa.table(value.slice(int(start), rows)) for start in dict.fromkeys(starts.tolist())])
    return Payload("table", "arrow", table.shape, tables.write(table))


def _of_tensor(payload: Payload) -> Payload:
    width = max(payload.size // max(int(np.prod(payload.shape)), 1), 1)
    octets = np.frombuffer(payload.data, np.uint8)
    last = (payload.size - BLOCK) // width
    starts = np.linspace(0, last, BLOCKS).astype(int) * width
    taken = np.concatenate([octets[start : start + BLOCK - BLOCK % width] for start in starts])
    return Payload("tensor", payload.dtype, (len(taken) // width,), pa.py_buffer(taken))


def choose(payload: Payload, way: Way, codecs: Sequence[Packer]) -> Codec:
    """Of these codecs, the one that brings a payload over soonest, with the ratio found; `RAW` where none helps.

    Each is tried on a sample, so that what the payload holds decides, and not its type.
    """
    part = sample(payload)
    best, least = RAW, MARGIN * way.seconds(RAW, payload.size)
    for codec in codecs:
        known = RATES.get(codec.name)
        # At a ratio of 0 it would still be too slow: it need not be tried.
        if known is None or not codec.takes(part) or way.seconds(replace(known, ratio=0.0), payload.size) >= least:
            continue
        try:
            ratio = codec.pack(part).weight / part.size
        except PayloadError:
            continue
        tried = replace(known, ratio=ratio)
        if (seconds := way.seconds(tried, payload.size)) < least:
            best, least = tried, seconds
    return best
