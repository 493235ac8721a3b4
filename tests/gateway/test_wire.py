"""Arrow from strangers: what pyarrow writes comes in as it was; what lies about its sizes is refused beforehand."""

from __future__ import annotations

import json
import struct
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.conftest import stream
from tierflow.errors import ClientRefused
from tierflow.exchange.gateway.flatbuffer import Malformed
from tierflow.exchange.gateway.protobuf import Data, data_of, flight_data, ticket_of
from tierflow.exchange.gateway.wire import JSON_MOST, messages, of_json, of_stream

CELLS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=3, max_size=3),
    st.lists(st.floats() | st.none(), min_size=3, max_size=3),
    st.lists(st.text() | st.none(), min_size=3, max_size=3),
    st.lists(st.binary() | st.none(), min_size=3, max_size=3),
    st.lists(st.lists(st.integers(0, 9)) | st.none(), min_size=3, max_size=3),
    st.lists(st.fixed_dictionaries({"a": st.booleans(), "b": st.text()}), min_size=3, max_size=3),
)


EXTREME = st.sampled_from([-1, 0, -(2**63), 2**63 - 1, 2**62, 2**40, 2**31 - 1, 2**16])


def damaged(body: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes of it are others, or a number of 8 bytes is another, more often near its start; then it may be cut."""
    place = st.integers(0, min(len(body), 1024) - 1) | st.integers(0, len(body) - 1)
    wrong = st.binary(min_size=1, max_size=4) | EXTREME.map(lambda number: struct.pack("<q", number))
    end = st.just(len(body)) | st.integers(0, len(body))

    def spoilt(changes: list[tuple[int, bytes]], length: int) -> bytes:
        made = bytearray(body)
        for at, octets in changes:
            made[at : at + len(octets)] = octets
        return bytes(made[:length])

    return st.builds(spoilt, st.lists(st.tuples(place, wrong), min_size=1, max_size=4), end)


TABLE = pa.table(
    {
        "n": [1, None, 3],
        "s": ["word", None, "ü"],
        "l": [[1, 2], None, []],
        "d": pa.array(["x", "y", None]).dictionary_encode(),
        "m": [{"a": 1.5, "b": b"z"}] * 3,
    }
)
RICH = [stream(TABLE), stream(TABLE, "lz4"), stream(TABLE, "zstd")]


@given(st.lists(CELLS, min_size=1, max_size=4), st.sampled_from([None, "lz4", "zstd"]), st.integers(0, 3))
def test_what_pyarrow_writes_comes_in_as_it_was(
    columns: list[list[object]], compression: str | None, first: int
) -> None:
    table = pa.table({str(index): pa.array(cells) for index, cells in enumerate(columns)}).slice(first)
    read = of_stream(memoryview(stream(table, compression)), 1 << 20)
    assert read.schema == table.schema
    assert str(read.to_pylist()) == str(table.to_pylist())  # NaN is not NaN


def test_dictionaries_batches_and_nothing_come_in() -> None:
    words = pa.table({"word": pa.array(["a", "b", None, "a"]).dictionary_encode()})
    for table in (words, words.slice(2, 0), pa.concat_tables([words, words]), pa.table({"n": pa.nulls(3)})):
        assert of_stream(memoryview(stream(table)), 1 << 20).to_pylist() == table.to_pylist()


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    bomb = stream(pa.table({"zeros": [bytes(64 << 20)]}), "zstd")
    assert len(bomb) < 100_000
    allocated = pa.total_allocated_bytes()
    with pytest.raises(ClientRefused, match="larger than it may be"):
        of_stream(memoryview(bomb), 1 << 20)
    assert pa.total_allocated_bytes() - allocated < 1 << 20


def forged(body: bytes, value: int) -> list[bytes]:
    """The stream with a number in place of each 8 bytes of its headers."""
    return [body[:at] + struct.pack("<q", value) + body[at + 8 :] for at in range(0, min(len(body), 1024) - 8, 4)]


@pytest.mark.parametrize("value", [-1, -(2**63), 2**62, 2**31 - 1, 2**40])
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_headers_that_lie_are_refused_and_allocate_nothing(value: int, compression: str | None) -> None:
    table = pa.table({"n": list(range(100)), "s": ["x" * 10] * 100})
    refused = 0
    for body in forged(stream(table, compression), value):
        allocated = pa.total_allocated_bytes()
        try:
            of_stream(memoryview(body), 1 << 20)
        except ClientRefused:
            refused += 1
        assert pa.total_allocated_bytes() - allocated < 4 << 20
    assert refused > 50


@pytest.mark.parametrize("end", [0, 1, 7, 8, 100, -1, -9])
def test_a_stream_that_ends_too_soon_is_refused(end: int) -> None:
    body = stream(pa.table({"n": list(range(100))}))
    with pytest.raises(ClientRefused, match="Arrow stream"):
        of_stream(memoryview(body[:end]), 1 << 20)


def test_extension_types_are_refused() -> None:
    storage = pa.array([b"0" * 16])
    named = pa.field("u", pa.binary(), metadata={"ARROW:extension:name": "ray.data.arrow_pickled_object"})
    for table in (
        pa.table({"u": pa.ExtensionArray.from_storage(pa.uuid(), storage.cast(pa.binary(16)))}),
        pa.Table.from_arrays([storage], schema=pa.schema([named])),
        pa.Table.from_arrays([pa.array([[b"1"]])], schema=pa.schema([pa.field("l", pa.list_(named))])),
    ):
        with pytest.raises(ClientRefused, match="extension type"):
            of_stream(memoryview(stream(table)), 1 << 20)


@given(st.lists(st.fixed_dictionaries({"n": st.integers(-(2**53), 2**53), "s": st.text()}), max_size=5))
def test_rows_of_json_are_a_table(rows: list[dict[str, object]]) -> None:
    assert of_json(json.dumps(rows).encode(), 1 << 20).to_pylist() == rows


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[1]", b"[" * 100_000, b'[{"a": 1}, {"a": "x"}]', b"[{}", b"\xff", b'[{"a": ' + b"9" * 5000 + b"}]",
     b'[{"a": 1e999999}, {"a": [1]}]', b" " * (JSON_MOST + 1)],
)  # fmt: skip
def test_what_is_no_rows_is_refused(body: bytes) -> None:
    with pytest.raises(ClientRefused):
        of_json(body, 1 << 20)


def swelling() -> dict[str, list[dict[str, object]]]:
    """Rows that take little in JSON and much in a table, where each has all fields."""
    fields = {f"k{number}": 1 for number in range(1000)}
    return {
        "rows": [fields, *[{}] * 100_000],
        "rows within rows": [{"a": fields}, *[{"a": None}] * 20_000],
        "items of lists": [{"a": [fields, *[{}] * 100_000]}],
        "deep": [{"a": {"b": [[{"c": fields}], *[[None]] * 100_000]}}],
        "wide": [dict.fromkeys(map(str, range(50_000)))],
        "wide within": [{"a": dict.fromkeys(map(str, range(50_000)))}],
    }


@pytest.mark.parametrize("rows", swelling().values(), ids=swelling())
def test_rows_that_would_swell_are_refused_before_they_do(rows: list[dict[str, object]]) -> None:
    pool, before = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(ClientRefused, match=r"fields|keys"):
            of_json(json.dumps(rows).encode(), 16 << 20)
    finally:
        pa.set_memory_pool(before)
    assert pool.max_memory() < 1 << 20


def test_all_that_fits_into_json_and_does_not_swell_is_taken() -> None:
    for rows in (
        [{"a": [1] * (JSON_MOST // 2 - 10)}],
        [{"a": 1, "b": None}] * (JSON_MOST // 20),
        [{"a": {"b": [{"c": number}, {"d": True}]}} for number in range(20_000)],
        [dict.fromkeys(map(str, range(4000)), 1.5)] * 20,
    ):
        body = json.dumps(rows, separators=(",", ":")).encode()
        assert 200_000 < len(body) <= JSON_MOST
        assert of_json(body, 16 << 20).num_rows == len(rows)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"a": 1}, {"a": 2, "b": 3}], "row 2 has other keys than row 1: 'b' too"),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1}], "row 3 has other keys than row 1: no 'b'"),
        ([{}, {"a": 1}], "row 2 has other keys than row 1: 'a' too"),
        ([{"a": 1}, {"A": 1}], "row 2 has other keys than row 1: no 'a', 'A' too"),
        ([{"a": 1}, dict.fromkeys("abcdef" * 50 + "x" * 500)], "'b' too, 'c' too, 'd' too and more"),
        ([{"a": 1}, {"a": 1, "x" * 500: 1}], "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' too;"),
    ],
)
def test_rows_of_other_keys_are_refused_by_name(rows: list[dict[str, object]], said: str) -> None:
    with pytest.raises(ClientRefused) as refused:
        of_json(json.dumps(rows).encode(), 1 << 20)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


@given(st.lists(st.recursive(
    st.none() | st.integers(-9, 9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from("abc"), inner, max_size=3), max_leaves=12), max_size=6))  # fmt: skip
def test_no_value_of_json_is_lost(values: list[object]) -> None:
    try:
        table = of_json(json.dumps([{"v": value} for value in values]).encode(), 1 << 20)
    except ClientRefused:
        return
    for value, row in zip(values, table.to_pylist(), strict=True):
        assert bare(row["v"]) == bare(value)


def bare(value: object) -> object:
    """Without what is not there: in a table it is null."""
    if isinstance(value, dict):
        return {key: bare(inner) for key, inner in value.items() if bare(inner) not in (None, {})} or None
    return [bare(inner) for inner in value] if isinstance(value, list) else value


@given(st.binary(), st.binary())
def test_flight_messages_come_back(header: bytes, body: bytes) -> None:
    assert data_of(flight_data(header, body)) == Data((), header, memoryview(body))


@settings(max_examples=1500)
@given(st.binary(max_size=64) | damaged(flight_data(*next(messages(memoryview(RICH[0]))))))
def test_any_bytes_are_a_message_or_malformed(message: bytes) -> None:
    for read in (data_of, ticket_of):
        with suppress(Malformed):  # and no other error
            read(message)


@settings(max_examples=1500)
@given(st.sampled_from(RICH).flatmap(damaged))
def test_damaged_streams_are_refused_or_give_valid_arrow_data_in_bounded_memory(body: bytes) -> None:
    allocated = pa.total_allocated_bytes()
    with suppress(ClientRefused):  # and no other error
        of_stream(memoryview(body), 1 << 20).validate(full=True)
    assert pa.total_allocated_bytes() - allocated < 4 << 20


@settings(max_examples=1000)
@given(damaged(json.dumps([{"a": 1, "b": ["x", {"c": None}]}] * 3).encode()))
def test_damaged_rows_of_json_are_refused_or_a_table(body: bytes) -> None:
    with suppress(ClientRefused):  # and no other error
        of_json(body, 1 << 20).validate(full=True)
