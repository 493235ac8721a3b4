"""The contract of codecs: what goes in comes out, by no more than the bound; the damaged is refused in little room."""

from __future__ import annotations

import dataclasses
import pickle
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.exchange.arrow_data import batches, tables
from tierflow.errors import PayloadError
from tierflow.exchange import Payload, decode, encode
from tierflow.exchange.codecs import CODECS, Leftover, Packed, pack, unpack

LOSSLESS = [name for name, codec in CODECS.items() if not codec.loss]
LOSSY = [name for name, codec in CODECS.items() if codec.loss]
ARROW = [name for name in LOSSLESS if name != "shuffle"]
LARGEST = {"fp16": 65519.99, "bf16": 3.3961e38}
FLOATS = arrays.arrays(
    st.sampled_from([np.float32, np.float64]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6),
    elements={"allow_nan": False, "allow_infinity": False},
)
SLOW = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


def tensor(values: np.ndarray) -> Payload:
    """An array as the payload of a tensor."""
    return Payload("tensor", str(values.dtype), values.shape, pa.py_buffer(np.ascontiguousarray(values)))


def values(payload: Payload) -> np.ndarray:
    """The other way round."""
    return np.frombuffer(payload.data, payload.dtype).reshape(payload.shape)


@pytest.mark.parametrize("codec", ARROW)
@SLOW
@given(batch=batches() | tables())
def test_arrow_data_comes_out_as_it_went_in(codec: str, batch: pa.RecordBatch | pa.Table) -> None:
    if codec == "columns" and isinstance(batch, pa.Table):
        assume(not any(kind in str(batch.schema) for kind in ("run_end", "union", "view")))  # Arrow joins none of these
    back = decode(unpack(pickle.loads(pickle.dumps(pack(encode(batch), codec), 5))))
    assert back.schema.equals(batch.schema, check_metadata=True)
    assert pickle.dumps(back.to_pylist()) == pickle.dumps(batch.to_pylist())  # NaN too


@pytest.mark.parametrize("codec", ARROW)
def test_a_table_of_sensor_data_comes_out_as_it_went_in_and_smaller(codec: str) -> None:
    rng = np.random.default_rng(0)
    rows = 20_000
    at = np.cumsum(rng.integers(9_000, 11_000, rows)).astype("datetime64[us]")
    table = pa.table(
        {
            "at": pa.array(at),
            "value": np.cumsum(rng.normal(size=rows)).astype(np.float32),
            "status": rng.choice(["ok", "warm", "hot"], rows),
            "count": pa.array(rng.integers(0, 50, rows), mask=rng.random(rows) < 0.1),
        }
    )
    packed = pack(encode(table.slice(100, 15_000)), codec)
    assert decode(unpack(packed)).equals(table.slice(100, 15_000))
    if codec == "columns":
        assert packed.weight < 0.8 * pack(encode(table.slice(100, 15_000)), "zstd-9").weight


@pytest.mark.parametrize("codec", LOSSLESS)
@given(array=arrays.arrays(st.sampled_from([np.float32, np.float64, np.int64]), arrays.array_shapes(max_side=9)))
def test_a_tensor_comes_out_of_a_lossless_codec_bit_by_bit(codec: str, array: np.ndarray) -> None:
    if codec == "columns":
        with pytest.raises(PayloadError, match="columns does not carry a tensor"):
            pack(tensor(array), codec)
        return
    packed = pack(tensor(array), codec)
    assert unpack(packed).data.to_pybytes() == array.tobytes()
    assert packed.bound == 0


@pytest.mark.parametrize("codec", LOSSY)
@given(array=FLOATS)
@example(array=np.zeros((3, 0), np.float32))
@example(array=np.array(3.0))
@example(array=np.full((2, 3), 1e-45, np.float32))
@example(array=np.array([[1e30, 1], [1e-30, 0]]))
def test_a_lossy_codec_is_off_by_no_more_than_it_says_and_says_no_more_than_it_should(
    codec: str, array: np.ndarray
) -> None:
    if codec in LARGEST and np.abs(array).max(initial=0.0) > LARGEST[codec]:
        with pytest.raises(PayloadError, match="has no number as large"):
            pack(tensor(array), codec)
        return
    packed = pack(tensor(array), codec)
    back = unpack(packed)
    assert (back.dtype, back.shape) == (str(array.dtype), array.shape)
    off = np.abs(values(back).astype(np.float64) - array.astype(np.float64))
    largest = float(np.abs(array).max(initial=0.0))
    assert off.max(initial=0.0) <= packed.bound * (1 + 1e-6)
    should = {
        "fp16": largest * 2**-11 + 2**-25,
        "bf16": largest * 2**-8 + 2**-133,
        "int8": largest / 127 / 2 * (1 + 1e-6) + 1e-44,
        "int4": largest / 7 / 2 * (1 + 1e-6) + 1e-44,
    }.get(codec, largest)
    assert packed.bound <= should


@pytest.mark.parametrize("codec", LOSSY)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_lossy_codec_refuses_what_is_not_finite(codec: str, value: float) -> None:
    with pytest.raises(PayloadError, match="not finite"):
        pack(tensor(np.array([1.0, value])), codec)


def test_bfloat16_is_rounded_as_torch_rounds_it() -> None:
    import torch

    array = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    own = values(unpack(pack(tensor(array), "bf16")))
    assert (own == torch.from_numpy(array).bfloat16().float().numpy()).all()


def test_what_is_left_out_arrives_with_the_next_tensors() -> None:
    rng, left = np.random.default_rng(0), Leftover()
    codec = CODECS["top-0.1"]
    sent, arrived = np.zeros((20, 30)), np.zeros((20, 30))
    for _ in range(50):
        array = rng.normal(0.1, 1, size=(20, 30)).astype(np.float32)
        sent += array
        arrived += values(unpack(left.pack(tensor(array), codec)))  # type: ignore[arg-type]
    without = sum(
        np.abs(values(unpack(pack(tensor(np.full((20, 30), 0.1, np.float32)), "top-0.1")))).sum() for _ in range(50)
    )
    assert np.abs(sent - arrived).max() < 12  # one remainder, not 50 of them
    assert np.abs(arrived).sum() > without


@pytest.mark.parametrize("codec", ["lz4", "zstd-1", "shuffle", "columns", "int4", "top-0.1", "fp16", "raw"])
@settings(SLOW, max_examples=200)
@given(data=st.data())
def test_what_is_damaged_or_lies_is_refused_with_one_clear_error(codec: str, data: st.DataObject) -> None:
    packed = HONEST[codec]
    part = data.draw(st.integers(0, len(packed.parts) - 1))
    octets = bytearray(packed.parts[part].to_pybytes())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(octets)) | st.just(len(octets)))
    parts = [*packed.parts[:part], pa.py_buffer(bytes(octets[:cut])), *packed.parts[part + 1 :]]
    lie = data.draw(st.fixed_dictionaries({}, optional=LIES))
    notes = dict(packed.notes)
    for name in notes:
        if data.draw(st.booleans()):
            notes[name] = data.draw(st.integers() | st.text(max_size=4) | st.binary(max_size=4))
    check = 0
    for one in parts:
        check = zlib.crc32(one, check)
    hostile = dataclasses.replace(packed, parts=tuple(parts), notes=notes, check=check, **lie)
    tracemalloc.start()
    try:
        with suppress(PayloadError):  # and no other error
            decode(unpack(hostile, most=1 << 20))
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


LIES = {
    "size": st.integers(-1, 1 << 62),
    "shape": st.lists(st.integers(-1, 1 << 40), max_size=3).map(tuple),
    "dtype": st.sampled_from(["float32", "float64", "int64", "arrow", "nonsense"]),
    "kind": st.sampled_from(["tensor", "table", "batch", "nonsense"]),
    "codec": st.sampled_from([*CODECS, "nonsense"]),
}


def _honest() -> dict[str, Packed]:
    array = tensor(np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32))
    table = encode(pa.table({"a": list(range(50)), "b": ["x", "y"] * 25, "c": [None, 1.5] * 25}))
    return {name: pack(table if name == "columns" else array, name) for name in CODECS}


HONEST = _honest()


def test_damage_is_told_by_the_checksum() -> None:
    packed = HONEST["zstd-1"]
    octets = bytearray(packed.parts[0].to_pybytes())
    octets[len(octets) // 2] ^= 1
    with pytest.raises(PayloadError, match="checksum"):
        unpack(dataclasses.replace(packed, parts=(pa.py_buffer(bytes(octets)),)))


def test_no_more_is_unpacked_than_is_allowed() -> None:
    bomb = pack(tensor(np.zeros(1 << 22)), "zstd-9")
    assert bomb.weight < 10_000
    with pytest.raises(PayloadError, match="more than the 1000000 allowed"):
        unpack(bomb, most=1_000_000)
    tracemalloc.start()
    with pytest.raises(PayloadError, match="holds more"):
        unpack(dataclasses.replace(bomb, size=8000, shape=(1000,)))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_columns_pack_nothing_that_they_would_not_unpack() -> None:
    wide = encode(pa.table({f"c{number}": [1.5, None, 2.5] for number in range(1500)}))
    bare = encode(pa.table({"a": [1, 2]}).select([]))
    for payload in (wide, bare):
        with pytest.raises(PayloadError, match="columns"):
            pack(payload, "columns")
        assert decode(unpack(pack(payload, "zstd-1"))).equals(decode(payload))
    for rows in (1, 30, 1000):
        for columns in (1, 30, 300):
            payload = encode(pa.table({f"c{number}": np.arange(rows) * number for number in range(columns)}))
            try:
                packed = pack(payload, "columns")
            except PayloadError:
                continue
            assert decode(unpack(packed)).equals(decode(payload))


def test_unknown_codecs_are_named() -> None:
    with pytest.raises(PayloadError, match="there is no codec called 'gzip'"):
        pack(encode(pa.table({"a": [1]})), "gzip")
    with pytest.raises(PayloadError, match="the codec 'gzip' is unknown"):
        unpack(dataclasses.replace(HONEST["raw"], codec="gzip"))
