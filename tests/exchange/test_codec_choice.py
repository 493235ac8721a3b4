"""The codec for a link: decided by a sample, right for the whole, and none where none helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.exchange.test_codecs import tensor
from tierflow.cost.codec import Crossing, best
from tierflow.exchange import Payload, encode
from tierflow.exchange.codecs import CODECS, pack
from tierflow.exchange.codecs.choice import RATES, ratios, sample

RNG = np.random.default_rng(0)
ROWS = 200_000
TABLE = encode(
    pa.table(
        {
            "at": np.cumsum(RNG.integers(9_000, 11_000, ROWS)).astype("datetime64[us]"),
            "value": np.cumsum(RNG.normal(size=ROWS)).astype(np.float32),
            "status": RNG.choice(["ok", "warm", "hot"], ROWS),
        }
    )
)
WEIGHTS = tensor((RNG.normal(size=(1000, 500)) * 0.02).astype(np.float32))
ACTIVATIONS = tensor(np.maximum(RNG.normal(size=(1000, 500)), 0).astype(np.float32))
NOISE = Payload("tensor", "uint8", (4_000_000,), pa.py_buffer(RNG.bytes(4_000_000)))
LOSSLESS = [codec for codec in CODECS.values() if not codec.loss]
SLOW, FAST = Crossing(125_000), Crossing(1.25e9)


@pytest.mark.parametrize("payload", [TABLE, WEIGHTS, ACTIVATIONS])
@pytest.mark.parametrize("codec", [codec.name for codec in LOSSLESS])
def test_the_ratio_of_a_sample_is_that_of_the_whole(payload: Payload, codec: str) -> None:
    if not CODECS[codec].takes(payload):
        return
    part = sample(payload)
    assert part.size < 300_000 < payload.size
    assert pack(part, codec).weight / part.size == pytest.approx(pack(payload, codec).weight / payload.size, rel=0.25)


def test_what_is_small_is_its_own_sample() -> None:
    small = tensor(np.zeros(100))
    assert sample(small) is small


@pytest.mark.parametrize(
    ("payload", "way", "chosen"),
    [
        (TABLE, SLOW, "columns"),
        (TABLE, FAST, "raw"),
        (WEIGHTS, SLOW, "shuffle"),
        (NOISE, SLOW, "raw"),
        (ACTIVATIONS, Crossing(125_000, 0.05, 1.0), "zstd-3"),
        (ACTIVATIONS, FAST, "raw"),
    ],
)
def test_content_and_link_decide(payload: Payload, way: Crossing, chosen: str) -> None:
    found = best(payload.size, way, ratios([payload], LOSSLESS))
    assert found.name == chosen
    exact = {
        name: way.seconds(replace(known, ratio=pack(payload, name).weight / payload.size), payload.size)
        for name, known in RATES.items()
        if not CODECS[name].loss and CODECS[name].takes(payload)
    }
    assert exact.get(found.name, payload.size / way.rate) <= 1.1 * min(exact.values())


def test_what_another_codec_beats_in_everything_is_no_choice() -> None:
    names = {codec.name for codec in ratios([WEIGHTS], LOSSLESS)}
    assert {"zstd-1", "shuffle"} <= names
    assert "zstd-3" not in names
    assert ratios([NOISE], LOSSLESS) == ()


def test_a_lossy_codec_is_chosen_only_where_it_is_among_those_allowed() -> None:
    assert best(WEIGHTS.size, SLOW, ratios([WEIGHTS], [*LOSSLESS, CODECS["int8"]])).name == "int8"
    assert ratios([tensor(np.full(100_000, np.nan))], [CODECS["int8"]]) == ()


def test_what_takes_longer_to_ask_for_than_it_saves_goes_as_it_is() -> None:
    near, far = Crossing(1.25e6), Crossing(1.25e6, trip=3.0)
    assert best(TABLE.size, near, ratios([TABLE], LOSSLESS)).name == "columns"
    assert best(TABLE.size, far, ratios([TABLE], LOSSLESS)).name == "raw"
