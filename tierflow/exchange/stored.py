"""A value as bytes at rest: a line of JSON that says what it is, then the value. No pickle: reading runs no code.

What can be stored: bytes, text, JSON (dict with text keys, list, numbers, True, False, None), Arrow tables and record
batches, torch tensors (as payloads), numpy arrays of plain elements, and mappings from text to any of these, as a
model's state dict is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange.payload import Kind, Payload, decode, encode

__all__ = ["freeze", "thaw"]

_PLACE = 64
"""Each part of a mapping begins at a multiple of so many bytes, so that what is before it does not shift its words."""


def freeze(value: object) -> bytes:
    """The value as bytes.

    Raises:
        PayloadError: it is nothing that can be stored.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return _framed({"kind": "bytes"}, bytes(value))
    if isinstance(value, str):
        return _framed({"kind": "text"}, value.encode())
    if isinstance(value, np.ndarray) and not value.dtype.hasobject and value.dtype.names is None:
        plain = np.ascontiguousarray(value)
        return _framed({"kind": "array", "dtype": plain.dtype.str, "shape": value.shape}, plain.tobytes())
    if _is_json(value):
        return _framed({"kind": "json"}, json.dumps(value).encode())
    if isinstance(value, Mapping) and all(type(key) is str for key in value):
        parts = {key: freeze(part) for key, part in value.items()}
        head = {"kind": "mapping", "parts": [[key, len(part)] for key, part in parts.items()]}
        line = json.dumps(head).encode()
        return b"".join([line, b" " * (-(len(line) + 1) % _PLACE), b"\n", *map(_padded, parts.values())])
    sent = encode(value)
    tensor = {"kind": sent.kind, "dtype": sent.dtype, "shape": sent.shape, "grad": sent.grad}
    return _framed(tensor, sent.data.to_pybytes())


def thaw(data: bytes) -> Any:
    """The value that `freeze` made these bytes of; an array or tensor is the reader's own.

    Raises:
        PayloadError: they are not such bytes.
    """
    line, _, body = data.partition(b"\n")
    try:
        head = json.loads(line)
        kind = head["kind"]
        if kind == "bytes":
            return body
        if kind == "text":
            return body.decode()
        if kind == "json":
            return json.loads(body)
        if kind == "array":
            return np.frombuffer(bytearray(body), dtype=np.dtype(head["dtype"])).reshape(head["shape"])
        if kind == "mapping":
            return dict(_parts(body, head["parts"]))
        shape, grad = tuple(head["shape"]), bool(head["grad"])
    except (ValueError, KeyError, TypeError) as error:
        raise PayloadError(f"these bytes are no stored value ({error})", "send it again") from error
    return decode(Payload(cast("Kind", kind), head["dtype"], shape, pa.py_buffer(body), grad))


def _framed(head: dict[str, Any], body: bytes) -> bytes:
    return json.dumps(head).encode() + b"\n" + body


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % _PLACE)


def _parts(body: bytes, sizes: list[tuple[str, int]]) -> Iterator[tuple[str, Any]]:
    """The values of a mapping. Raises `ValueError` where the bytes end too soon."""
    at = 0
    for key, size in sizes:
        if size < 0 or at + size > len(body):
            raise ValueError(f"{key!r} is not whole")
        yield key, thaw(body[at : at + size])
        at += size + -size % _PLACE


def _is_json(value: object) -> bool:
    """Whether it comes back from JSON as what it was; a tuple would not, nor a number for a key."""
    if isinstance(value, dict):
        return all(type(key) is str and _is_json(part) for key, part in value.items())
    if isinstance(value, list):
        return all(_is_json(part) for part in value)
    return value is None or type(value) in (str, int, float, bool)
