"""Arrow columns, each by what it holds: differences of whole numbers, planes of floats, dictionaries of words."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tierflow.errors import PayloadError
from tierflow.exchange import tables
from tierflow.exchange.codecs.packed import Packed, damaged, of_payload
from tierflow.exchange.codecs.squeeze import squeeze, unsqueeze
from tierflow.exchange.payload import Payload

__all__ = ["Columns"]

SAMPLE = 1000
"""Rows by which it is decided whether words repeat."""
DISTINCT = 0.5
"""The share of distinct words in the sample up to which they go into a dictionary."""
UNSIGNED = {16: (pa.uint16(), "<u2"), 32: (pa.uint32(), "<u4"), 64: (pa.uint64(), "<u8")}
VALID = "v"


class Columns:
    """A table or batch whose columns are turned each in its way; then all of it goes through Zstandard.

    Rows and values come back as they were; a table comes back in one chunk.
    """

    name, loss = "columns", 0.0

    def takes(self, payload: Payload) -> bool:
        """See `Codec`."""
        return payload.kind in ("table", "batch")

    def pack(self, payload: Payload) -> Packed:
        """See `Codec`."""
        batch = _one_batch(payload)
        ways, columns = [], list[pa.Array]()
        for array in batch.columns:
            way = _way(array)
            ways.append(way)
            columns += _turned(array, way)
        names = [str(number) for number in range(len(columns))]
        turned = tables.write(pa.RecordBatch.from_arrays(columns, names=names))
        if turned.size > _most(payload.size) or not columns:
            why = f"columns make {turned.size} bytes of the {payload.size} of a table of shape {payload.shape}"
            raise PayloadError(why, "pack it with zstd-3")
        notes = {
            "ways": "".join(ways), "schema": batch.schema.serialize().to_pybytes(), "rows": batch.num_rows,
            "turned": turned.size,
        }  # fmt: skip
        return of_payload(self.name, payload, [squeeze(turned, "zstd", 3)], notes)

    def unpack(self, packed: Packed) -> pa.Buffer:
        """See `Codec`."""
        (data,) = packed.parts
        size = packed.notes["turned"]
        if not isinstance(size, int) or not 0 <= size <= _most(packed.size):
            raise damaged(f"it says that its columns take {size!r} bytes for {packed.size}")
        turned = tables.read(unsqueeze(data, "zstd", size), single=True, whole=True)
        schema = pa.ipc.read_schema(pa.py_buffer(packed.notes["schema"]))
        columns = list(turned.columns)
        ways = str(packed.notes["ways"])
        if len(ways) != len(schema) or turned.num_rows != packed.notes["rows"]:
            raise damaged("its columns are not those of its schema")
        arrays = [_back(columns, way, field.type) for way, field in zip(ways, schema, strict=True)]
        if columns:
            raise damaged("it holds more columns than its schema")
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return tables.write(batch)


def _most(size: int) -> int:
    """Bytes that the turned columns of so many bytes may take: many columns of few rows take more than they were."""
    return 4 * size + (1 << 16)


def _one_batch(payload: Payload) -> pa.RecordBatch:
    value = tables.read(payload.data, single=payload.kind == "batch", whole=False)
    if payload.kind == "batch":
        return value
    try:
        batches = value.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], value.schema)
    except (pa.ArrowException, NotImplementedError) as error:
        raise PayloadError(f"columns cannot make one batch of this table ({error})", "pack it with zstd-3") from error


def _way(array: pa.Array) -> str:
    """How an array is turned: "d" for differences, "p" for planes, "w" for a dictionary, "-" not at all."""
    kind = array.type
    whole = pa.types.is_integer(kind) or pa.types.is_temporal(kind)
    if (whole or pa.types.is_floating(kind)) and getattr(kind, "bit_width", 0) in UNSIGNED:
        return "p" if pa.types.is_floating(kind) else "d"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        sample = array.slice(0, SAMPLE)
        return "w" if len(pc.unique(sample)) <= DISTINCT * len(sample) else "-"
    return "-"


def _turned(array: pa.Array, way: str) -> list[pa.Array]:
    if way == "w":
        return [array.dictionary_encode()]
    if way == "-":
        return [array]
    unsigned, dtype = UNSIGNED[array.type.bit_width]
    bits = array.view(unsigned)
    valid = [bits.is_valid()] if bits.null_count else [pa.nulls(len(bits))]
    filled = bits.fill_null(0) if way == "p" else pc.fill_null_forward(bits).fill_null(0)
    numbers = filled.to_numpy(zero_copy_only=True).astype(dtype, copy=False)
    if way == "d":
        numbers = np.diff(numbers, prepend=numbers.dtype.type(0))
        signed = numbers.view(numbers.dtype.str.replace("u", "i"))
        numbers = ((signed << 1) ^ (signed >> (8 * signed.itemsize - 1))).view(numbers.dtype)  # small whatever the sign
    octets = numbers.view(np.uint8).reshape(-1, numbers.dtype.itemsize).T
    return [*valid, *(pa.array(np.ascontiguousarray(plane)) for plane in octets)]


def _back(columns: list[pa.Array], way: str, kind: pa.DataType) -> pa.Array:
    """The array of that type; takes what it is made of from the front of `columns`."""
    try:
        if way == "w":
            return columns.pop(0).dictionary_decode().cast(kind)
        if way == "-":
            return columns.pop(0)
        unsigned, dtype = UNSIGNED[kind.bit_width]
        valid = columns.pop(0)
        octets = np.stack([columns.pop(0).to_numpy(zero_copy_only=True) for _ in range(kind.bit_width // 8)])
        numbers = np.ascontiguousarray(octets.T).view(dtype).reshape(-1)
        if way == "d":
            signed = (numbers >> 1).astype(numbers.dtype) ^ (~(numbers & 1) + 1).astype(numbers.dtype)
            numbers = np.cumsum(signed, dtype=numbers.dtype)
        mask = None if pa.types.is_null(valid.type) else ~valid.to_numpy(zero_copy_only=False)
        return pa.array(numbers, unsigned, mask=mask).view(kind)
    except (IndexError, KeyError, ValueError, AttributeError, TypeError, pa.ArrowException) as error:
        raise damaged(f"a column of {kind} cannot be put together: {error}") from error
