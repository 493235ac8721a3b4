"""Moving Arrow data between tasks: what a value looks like on its way, and how the pickler is taught to make it so.

A table, a record batch or a torch tensor travels as a :class:`Payload`: a small header and one contiguous buffer that
goes beside the pickle (protocol 5, out of band). Ray lays that buffer in its object store once and every reader on the
node reads it there:

- a **table or record batch** is an Arrow IPC stream. A slice sends its own rows only. What a reader gets points into
  the store; Arrow data is immutable, so nothing can be spoilt by sharing it.
- a **torch tensor** (CPU, dense, any dtype) is its elements in row-major order. What a reader gets is *his own*: he may
  write into it without a warning and without anybody else seeing it. From 1 MiB on it is the store's memory mapped
  privately, so reading copies nothing and the kernel copies a page when it is first written; below that it is a copy,
  which costs less than a mapping.
- a **numpy array** travels as Ray sends it: out of band, shared, read-only.

What has a **label** (``stay="device"`` or ``"site"``) travels *sealed*: an `Envelope` that all may read, and pieces
that open with a secret of that device or site only (`exchange.sealing`).

Everything nested in dicts, lists, dataclasses or modules is covered, because the pickler meets each value by its type.
"""

from __future__ import annotations

from tierflow.exchange.kinds import looks
from tierflow.exchange.payload import Payload, decode, encode
from tierflow.exchange.pickling import register, size_of
from tierflow.exchange.sealing import fingerprint, read_line, seal, unseal
from tierflow.exchange.stored import freeze, thaw
from tierflow.topology import Envelope, Source

__all__ = [
    "Envelope",
    "Payload",
    "Source",
    "decode",
    "encode",
    "fingerprint",
    "freeze",
    "looks",
    "read_line",
    "register",
    "seal",
    "size_of",
    "thaw",
    "unseal",
]
