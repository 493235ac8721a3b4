from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchange import arrow_data
from tests.exchange.taught_pickler import sent
from tierflow.errors import PayloadError, TierflowError
from tierflow.exchange import Payload, decode, encode


def same(left: pa.Table | pa.RecordBatch, right: pa.Table | pa.RecordBatch) -> bool:
    """Equal in type, schema with metadata, and value, where NaN is NaN."""
    if type(left) is not type(right) or not left.schema.equals(right.schema, check_metadata=True):
        return False
    return repr(left.to_pylist()) == repr(right.to_pylist()) and left.num_rows == right.num_rows


@given(arrow_data.tables())
def test_every_arrow_table_comes_back(table: pa.Table) -> None:
    assert same(decode(encode(table)), table)
    assert same(sent(table), table)


@given(arrow_data.batches())
def test_every_record_batch_comes_back(batch: pa.RecordBatch) -> None:
    assert same(decode(encode(batch)), batch)
    assert same(sent(batch), batch)


def test_a_table_of_rows_without_columns_keeps_its_rows() -> None:
    table = pa.table({"a": [1, 2, 3]}).select([])
    assert decode(encode(table)).shape == table.shape == (3, 0)


def test_nan_of_any_kind_and_negative_zero_keep_their_bits() -> None:
    bits = np.array([0x7FF8000000000001, 0xFFF8000000000000, 0x8000000000000000], np.uint64)
    table = pa.table({"x": bits.view(np.float64)})
    assert decode(encode(table))["x"].to_numpy().view(np.uint64).tolist() == bits.tolist()


def test_a_slice_sends_its_rows_only() -> None:
    table = pa.table({"x": np.arange(1_000_000.0), "name": pa.array(["ab"] * 1_000_000)})
    few = encode(table.slice(500_000, 10))
    assert few.size < 1500
    assert encode(table.slice(500_000, 10).to_batches()[0]).size < 1500
    assert decode(few)["x"].to_pylist() == [500_000.0 + i for i in range(10)]


def test_a_decoded_table_points_into_the_payload() -> None:
    payload = encode(pa.table({"x": np.arange(1000.0)}))
    column = decode(payload)["x"].chunk(0).buffers()[1]
    assert payload.data.address <= column.address < payload.data.address + payload.size


def test_the_header_says_what_is_inside() -> None:
    table = pa.table({"x": pa.array([1.5, None])})
    payload = encode(table)
    assert (payload.kind, payload.dtype, payload.shape) == ("table", "arrow", (2, 1))
    assert payload.schema == table.schema
    assert payload.size == payload.data.size
    weights = encode(torch.zeros(3, 4, dtype=torch.bfloat16, requires_grad=True))
    assert (weights.kind, weights.dtype, weights.shape, weights.size, weights.grad) == (
        "tensor",
        "bfloat16",
        (3, 4),
        24,
        True,
    )
    assert weights.schema is None


def test_what_has_no_arrow_form_is_refused_with_the_mend() -> None:
    with pytest.raises(PayloadError, match="no Arrow form for a dict; send a pyarrow table"):
        encode({"a": 1})
    with pytest.raises(PayloadError, match="no plain row-major form"):
        encode(torch.eye(3).to_sparse())


# ---- damaged payloads ----

TABLE = pa.table(
    {"x": [1.0, math.nan], "s": ["a", None], "d": pa.array(["u", "v"]).dictionary_encode(), "l": [[1], []]}
)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (replace(encode(TABLE), data=pa.py_buffer(b"")), "not a whole Arrow stream"),
        (replace(encode(TABLE), data=pa.py_buffer(b"rubbish of some length")), "not a whole Arrow stream"),
        (replace(encode(TABLE), shape=(3, 4)), r"says \(3, 4\) rows and columns and holds \(2, 4\)"),
        (replace(encode(TABLE), kind="model"), "of the kind 'model' is unknown"),
        (replace(encode(TABLE[:0]), kind="batch", data=encode(TABLE).data[:700]), "not a whole Arrow stream"),
        (replace(encode(torch.zeros(4)), shape=(5,)), r"float32 with the shape \(5,\) takes 20 bytes .* holds 16"),
        (replace(encode(torch.zeros(4)), shape=(-2, -2)), "takes 16 bytes and the payload holds 16"),
        (replace(encode(torch.zeros(4)), dtype="float7"), "has no element type 'float7'"),
        (replace(encode(torch.zeros(4)), dtype="load"), "has no element type 'load'"),
        (replace(encode(torch.zeros(4)), data=pa.py_buffer(b"")), "takes 16 bytes and the payload holds 0"),
    ],
)
def test_a_payload_that_does_not_fit_its_header_is_one_clear_error(payload: Payload, sentence: str) -> None:
    with pytest.raises(PayloadError, match=sentence) as caught:
        decode(payload)
    assert isinstance(caught.value, TierflowError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_buffer_without_a_schema_says_so() -> None:
    with pytest.raises(PayloadError, match="does not begin with an Arrow schema"):
        _ = replace(encode(TABLE), data=pa.py_buffer(b"abc")).schema


@given(st.integers(0, encode(TABLE).size - 1))
def test_a_stream_cut_short_anywhere_is_refused_or_lacks_only_its_end_mark(length: int) -> None:
    payload = encode(TABLE)
    short = replace(payload, data=payload.data[:length])
    try:
        value = decode(short)
    except PayloadError:
        return
    assert length >= payload.size - 8
    assert same(value, TABLE)


@settings(max_examples=2000)
@given(st.lists(st.tuples(st.integers(0, encode(TABLE).size - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_are_refused_or_give_valid_arrow_data(damage: list[tuple[int, int]]) -> None:
    octets = bytearray(encode(TABLE).data)
    for place, value in damage:
        octets[place] = value
    try:
        value = decode(replace(encode(TABLE), data=pa.py_buffer(bytes(octets))))
    except PayloadError:
        return
    value.validate(full=True)
    assert value.shape == TABLE.shape
