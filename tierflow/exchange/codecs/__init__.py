"""Codecs: what a payload becomes on its way over a slow link.

Each packs payloads it `takes` and unpacks them; all keep the contract of :class:`Codec`. Which one is worth its time
on which link is for the cost model to say.
"""

from __future__ import annotations

import zlib

import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange.codecs.columns import Columns
from tierflow.exchange.codecs.packed import Codec, Packed, damaged
from tierflow.exchange.codecs.rounding import Rounded, Scaled
from tierflow.exchange.codecs.sparse import Largest, Leftover
from tierflow.exchange.codecs.squeeze import Raw, Shuffled, Squeezed
from tierflow.exchange.payload import Payload

__all__ = ["CODECS", "Codec", "Leftover", "Packed", "pack", "unpack"]

CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        Raw(),
        Squeezed("lz4"),
        Squeezed("zstd", 1),
        Squeezed("zstd", 3),
        Squeezed("zstd", 9),
        Shuffled(),
        Columns(),
        Rounded("fp16"),
        Rounded("bf16"),
        Scaled(8),
        Scaled(4),
        Largest(0.01),
        Largest(0.1),
    )
}
"""By name."""
MOST = 1 << 34
"""Bytes that a payload may take when it is unpacked, unless more are allowed."""


def pack(payload: Payload, codec: str) -> Packed:
    """Pack a payload.

    Raises:
        PayloadError: there is no such codec, or it does not carry this.
    """
    found = CODECS.get(codec)
    if found is None:
        raise PayloadError(f"there is no codec called {codec!r}", f"one of {', '.join(CODECS)}")
    if not found.takes(payload):
        raise PayloadError(f"{codec} does not carry a {payload.kind} of {payload.dtype}", "use raw, lz4 or zstd")
    return found.pack(payload)


def unpack(packed: Packed, most: int = MOST) -> Payload:
    """The payload, from whoever packed it; of no more than `most` bytes, whatever the header says.

    Raises:
        PayloadError: it is damaged, is larger, or was packed by a codec that is unknown here.
    """
    codec = CODECS.get(packed.codec)
    if codec is None:
        raise PayloadError(f"the codec {packed.codec!r} is unknown", "use one version of tierflow on every node")
    if not 0 <= packed.size <= most:
        raise PayloadError(f"a payload of {packed.size} bytes is more than the {most} allowed", "send it in parts")
    check = 0
    for part in packed.parts:
        check = zlib.crc32(part, check)
    if check != packed.check:
        raise damaged("its checksum is another")
    payload = packed.payload(pa.py_buffer(b""))
    if not codec.takes(payload) or min(packed.shape, default=0) < 0:
        raise damaged(f"{packed.codec} carries no {packed.kind} of {packed.dtype} in the shape {packed.shape}")
    if packed.kind in ("tensor", "array") and codec.loss and packed.elements * _WIDTH[packed.dtype] != packed.size:
        raise damaged(f"{packed.elements} elements of {packed.dtype} do not take {packed.size} bytes")
    try:
        data = codec.unpack(packed)
    except PayloadError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, pa.ArrowException, OSError) as error:
        raise damaged(str(error)) from error
    if packed.kind in ("tensor", "array") and data.size != packed.size:
        raise damaged(f"it says {packed.size} bytes and holds {data.size}")
    return packed.payload(data)


_WIDTH = {"float32": 4, "float64": 8}
