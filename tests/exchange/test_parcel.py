"""Values of any shape on their way over a slow link: what is large in them is packed, and nothing else is touched."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.cloudpickle import CloudPickler

from tests.exchange.arrow_data import tables
from tierflow.errors import PayloadError
from tierflow.exchange import encode
from tierflow.exchange.codecs import CODECS
from tierflow.exchange.codecs.choice import ratios
from tierflow.exchange.parcel import leaves, packed_value, unpacked_value
from tierflow.runtime.packing import ENOUGH, wrapped
from tierflow.runtime.packing import ratios as looked

LOSSLESS = [name for name, codec in CODECS.items() if not codec.loss]
LOSSY = {"fp16": 2**-11, "bf16": 2**-8, "int8": 1 / 254, "int4": 1 / 14}
SLACK = 1.001


@dataclass
class Batch:
    """As a user would write one."""

    frames: np.ndarray
    rows: pa.Table
    notes: dict[str, Any] = field(default_factory=dict)


def smooth(rows: int) -> np.ndarray:
    return np.sin(np.arange(rows) / 500).astype(np.float32).round(3)


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(300, 200), torch.nn.ReLU(), torch.nn.Linear(200, 10))


def weighed(parts: tuple[Any, ...]) -> int:
    return len(parts[0]) + sum(part.raw().nbytes for part in parts[1:])


@pytest.mark.parametrize("codec", LOSSLESS)
def test_what_is_nested_comes_out_as_it_was(codec: str) -> None:
    batch = Batch(smooth(50_000).reshape(500, 100), pa.table({"at": np.arange(20_000)}), {"why": ["one", 2.5, None]})
    value = {"batches": [batch, batch], "model": network().state_dict(), "noise": np.random.default_rng(0).bytes(50)}
    parts = packed_value(value, codec, CloudPickler)
    back = unpacked_value(parts)
    assert np.array_equal(back["batches"][0].frames, batch.frames)
    assert back["batches"][0].rows.equals(batch.rows)
    assert back["batches"][0] is back["batches"][1]
    assert back["batches"][0].notes == batch.notes
    assert back["noise"] == value["noise"]
    for name, tensor in network().state_dict().items():
        assert torch.equal(back["model"][name], tensor)
        back["model"][name].add_(1)  # it is the reader's own
    if codec not in ("raw", "lz4"):
        assert weighed(parts) < 0.9 * weighed(packed_value(value, "raw", CloudPickler))


@settings(deadline=None, max_examples=50)
@given(table=tables(), codec=st.sampled_from(LOSSLESS))
def test_any_table_beside_a_large_one_comes_out_as_it_was(table: pa.Table, codec: str) -> None:
    value = (table, pa.concat_tables([pa.table({"x": smooth(5_000)})] * 2), np.arange(3))
    back = unpacked_value(packed_value(value, codec, CloudPickler))
    assert back[0].schema.equals(table.schema)
    assert encode(back[0]).data.equals(encode(table).data)
    assert back[1].equals(value[1])


def test_a_module_and_its_gradients_are_as_they_were() -> None:
    model = network()
    model(torch.ones(300)).sum().backward()
    back = unpacked_value(packed_value(model, "shuffle", CloudPickler))
    for mine, its in zip(model.parameters(), back.parameters(), strict=True):
        assert torch.equal(mine, its)
        assert its.requires_grad


@pytest.mark.parametrize(("codec", "loss"), LOSSY.items())
def test_no_number_is_off_by_more_than_the_codec_promises(codec: str, loss: float) -> None:
    numbers = np.random.default_rng(0).normal(size=(64, 400)).astype(np.float32)
    tiny, odd, whole = numbers * 1e-8, np.where(numbers > 3, np.nan, numbers), np.arange(9_000)
    back = unpacked_value(packed_value([numbers, torch.from_numpy(numbers), tiny, odd, whole], codec, CloudPickler))
    assert CODECS[codec].loss == pytest.approx(loss, rel=0.01)
    most = loss * SLACK * np.abs(numbers).max()
    assert 0 < np.abs(back[0] - numbers).max() <= most
    assert np.abs(back[1].numpy() - numbers).max() <= most
    assert np.abs(back[2] - tiny).max() <= most * 1e-8  # half floats have no such numbers: they go without loss
    assert np.array_equal(back[3], odd, equal_nan=True)
    assert np.array_equal(back[4], whole)


def test_what_cannot_be_made_smaller_goes_as_it_is() -> None:
    noise = np.frombuffer(np.random.default_rng(0).bytes(100_000), np.uint8)
    parts = packed_value(noise, "zstd-9")
    assert weighed(parts) < 1.01 * noise.nbytes
    assert np.array_equal(unpacked_value(parts), noise)


def test_an_unknown_codec_is_refused_and_a_damaged_part_too() -> None:
    with pytest.raises(PayloadError, match="no codec called 'gzip'"):
        packed_value(smooth(5_000), "gzip")
    pickled, *beside = packed_value(smooth(50_000), "zstd-3")
    spoilt = bytearray(beside[0].raw())
    spoilt[len(spoilt) // 2] ^= 1
    with pytest.raises(PayloadError, match="checksum"):
        unpacked_value((pickled, pickle.PickleBuffer(bytes(spoilt)), *beside[1:]))


def test_what_can_be_packed_is_found_wherever_it_is() -> None:
    state = network().state_dict()
    found = list(leaves({"model": state, "more": [Batch(smooth(5_000), pa.table({"x": smooth(5_000)}))]}))
    large = [tensor for tensor in state.values() if tensor.nbytes >= 4096]
    assert sum(payload.size for payload in found) >= sum(tensor.nbytes for tensor in large) + 2 * 20_000
    assert list(leaves([1.0] * 10**6)) == []
    loop: list[Any] = []
    loop.append(loop)
    assert list(leaves(loop)) == []


def test_a_wide_table_that_columns_do_not_carry_goes_by_another_codec() -> None:
    wide = pa.table({f"c{number}": [1.5, 0.0, 2.5] for number in range(1500)})
    parts = packed_value(wide, "columns")
    assert weighed(parts) < 0.5 * encode(wide).size
    assert unpacked_value(parts).equals(wide)


def test_a_look_at_a_large_value_copies_no_more_than_the_sample() -> None:
    rows = smooth(4_000_000)
    table = pa.table({"x": rows, "y": rows[::-1].copy(), "word": pa.array(["a", "bb"] * 2_000_000)})
    parts = [
        table,
        pa.concat_tables([table.slice(7, 10**6)] * 3),
        table.slice(3, 10**6).combine_chunks().to_batches()[0],
    ]
    pool, before = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        found = list(leaves({"parts": parts}))
        codecs = ratios(found, [CODECS[name] for name in LOSSLESS])
    finally:
        pa.set_memory_pool(before)
    assert pool.max_memory() < 4 << 20
    assert [leaf.size for leaf in found[::-1]] == [encode(part).size for part in parts]
    assert codecs == ratios([encode(part) for part in parts], [CODECS[name] for name in LOSSLESS])


def test_what_a_value_holds_beside_payloads_counts() -> None:
    payload = encode(smooth(100_000))
    (alone,) = (codec for codec in ratios([payload], [CODECS["zstd-3"]]))
    (beside,) = ratios([payload], [CODECS["zstd-3"]], 2 * payload.size)
    assert beside.ratio == pytest.approx((1 + alone.ratio) / 2, abs=0.01)
    assert ratios([payload], [CODECS["zstd-3"]], 100 * payload.size) == ()


def test_a_sample_says_which_codecs_are_worth_a_look_and_how_much_they_alter() -> None:
    value = {"weights": torch.from_numpy(np.random.default_rng(1).normal(size=ENOUGH // 4).astype(np.float32))}
    exact = looked(value, "a function")
    assert exact
    assert all(codec.loss == 0 for codec in exact)
    assert {codec.name for codec in looked(value, "a function", 0.01)} > {codec.name for codec in exact}
    assert "int4" not in {codec.name for codec in looked(value, "a function", 0.01)}
    assert looked(np.zeros(10), "a function") == ()


def test_what_holds_references_is_left_to_ray_which_counts_them() -> None:
    value = {"frames": smooth(50_000), "more": [ray.ObjectRef.from_random()]}
    assert wrapped(value, "zstd-3") is value


def test_a_wrapped_value_unpacks_itself_in_another_process() -> None:
    value = {"frames": smooth(50_000), "why": "test"}
    file = io.BytesIO()
    CloudPickler(file, protocol=5).dump(wrapped(value, "zstd-3"))
    assert len(file.getvalue()) < 0.5 * value["frames"].nbytes
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer)['frames'].sum())"
    done = subprocess.run([sys.executable, "-c", program], input=file.getvalue(), capture_output=True, check=True)
    assert float(done.stdout) == pytest.approx(float(value["frames"].sum()), rel=1e-4)
