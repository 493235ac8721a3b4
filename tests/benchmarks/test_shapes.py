"""The functions that are placed do what they say, and have the shapes that the benchmarks need."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.shapes import SHAPES, detect, forecast, statistics


def test_statistics_are_those_of_each_frame() -> None:
    flat = np.full((1, 320, 640), 7, np.uint8)
    assert statistics(flat).tolist() == [[7.0, 0.0, 0.0, 0.0]]
    found = statistics(SHAPES["statistics"].input(np.random.default_rng(0), 2))
    assert found.shape == (2, 4)
    assert found[:, 2] == pytest.approx([8.0, 8.0], abs=0.01)  # evenly drawn bytes have eight bits


@pytest.mark.parametrize("name", SHAPES)
def test_inputs_have_the_bytes_that_are_counted_and_no_two_are_alike(name: str) -> None:
    shape, rng = SHAPES[name], np.random.default_rng(0)
    first, second = (shape.input(rng, shape.placed) for _ in range(2))
    assert first.nbytes == shape.placed * shape.bytes_each
    assert not np.array_equal(np.asarray(first), np.asarray(second))


def test_the_networks_say_the_same_of_the_same() -> None:
    rng = np.random.default_rng(0)
    readings, frames = SHAPES["forecast"].input(rng, 16), SHAPES["detect"].input(rng, 1)
    assert forecast(readings).shape == (2, 4)
    assert np.array_equal(forecast(readings), forecast(readings))
    assert detect(frames).shape == (1, 3)
    assert np.array_equal(detect(frames), detect(frames))
