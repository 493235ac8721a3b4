"""Hypothesis strategies for Arrow data: every kind of type, with nulls, slices and several chunks."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import strategies as st

_WHOLE = [
    pa.int8(),
    pa.int64(),
    pa.uint16(),
    pa.date32(),
    pa.time64("us"),
    pa.timestamp("us", "UTC"),
    pa.duration("ms"),
]


def _integers(kind: pa.DataType) -> st.SearchStrategy[object]:
    top = (1 << (kind.bit_width - 1)) - 1
    if pa.types.is_date(kind):
        top = 100_000
    if pa.types.is_duration(kind) or pa.types.is_timestamp(kind):
        top = 10**15  # what Python's own dates can show
    if pa.types.is_time(kind):
        top = 86_399_999_999
    low = -top if pa.types.is_signed_integer(kind) or pa.types.is_duration(kind) or pa.types.is_timestamp(kind) else 0
    return st.integers(low, top)


def _column(kind: pa.DataType, values: st.SearchStrategy[object], size: int) -> st.SearchStrategy[pa.Array]:
    storage = {64: pa.int64(), 32: pa.int32()}.get(kind.bit_width) if pa.types.is_temporal(kind) else None
    rows = st.lists(st.none() | values, min_size=size, max_size=size)
    return rows.map(lambda row: pa.array(row, storage).cast(kind) if storage else pa.array(row, kind))


def _flat(size: int) -> st.SearchStrategy[pa.Array]:
    words = st.text(st.characters(codec="utf-8"), max_size=8)
    octets = st.binary(max_size=8)
    return st.one_of(
        st.sampled_from(_WHOLE).flatmap(lambda kind: _column(kind, _integers(kind), size)),
        _column(pa.float64(), st.floats(), size),
        _column(pa.float32(), st.floats(width=32), size),
        _column(pa.float16(), st.floats(width=16), size),
        _column(pa.bool_(), st.booleans(), size),
        st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]).flatmap(
            lambda kind: _column(kind, words, size)
        ),
        st.sampled_from([pa.binary(), pa.large_binary()]).flatmap(lambda kind: _column(kind, octets, size)),
        _column(pa.binary(4), st.binary(min_size=4, max_size=4), size),
        _column(pa.decimal128(20, 2), st.decimals(-1000, 1000, places=2), size),
        st.just(pa.nulls(size)),
        _column(pa.string(), st.sampled_from(["a", "b", "c"]), size).map(lambda words: words.dictionary_encode()),
        _column(pa.int64(), st.integers(0, 2), size).map(pa.compute.run_end_encode),
    )


def _nested(size: int) -> st.SearchStrategy[pa.Array]:
    numbers = st.lists(st.none() | st.floats(), max_size=3)
    pairs = st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2).map(lambda d: list(d.items()))
    return st.one_of(
        _column(pa.list_(pa.float64()), numbers, size),
        _column(pa.large_list(pa.float64()), numbers, size),
        _column(pa.list_(pa.int8(), 2), st.lists(st.integers(-9, 9), min_size=2, max_size=2), size),
        _column(pa.map_(pa.string(), pa.int64()), pairs, size),
        st.tuples(_flat(size), _flat(size)).map(lambda both: pa.StructArray.from_arrays(list(both), ["x", "y"])),
        st.tuples(_flat(size), _flat(size)).map(
            lambda both: pa.UnionArray.from_sparse(pa.array([i % 2 for i in range(size)], pa.int8()), list(both))
        ),
        st.just(pa.array([str(i) for i in range(size)], pa.string())).map(
            lambda texts: pa.ExtensionArray.from_storage(pa.json_(), texts)
        ),
    )


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """A record batch of up to four columns, often a slice of a larger one, sometimes empty."""
    size = draw(st.integers(0, 12))
    columns = draw(st.lists(_flat(size) | _nested(size), min_size=1, max_size=4))
    batch = pa.RecordBatch.from_arrays(columns, [f"c{i}" for i in range(len(columns))])
    batch = batch.replace_schema_metadata(draw(st.none() | st.just({"origin": "cam-1"})))
    start = draw(st.integers(0, size))
    return batch.slice(start, draw(st.integers(0, size - start))) if draw(st.booleans()) else batch


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of no, one or several chunks, often a slice across them."""
    batch = draw(batches())
    table = pa.Table.from_batches([batch] * draw(st.integers(0, 3)), batch.schema)
    start = draw(st.integers(0, table.num_rows))
    return table.slice(start, draw(st.integers(0, table.num_rows - start)))
