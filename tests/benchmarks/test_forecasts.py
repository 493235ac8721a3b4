"""The arithmetic of predictions and of the baselines they are held against."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.forecasts import Last, Observed, Regression, errors, share_within, spread


def call(seconds: float, work: float = 0.0, moved: float = 0.0, trip: float = 0.0, cell: str = "a") -> Observed:
    return Observed(cell, "detect", "gw-1", work, moved, trip, seconds)


def test_the_regression_finds_the_line_that_made_the_times() -> None:
    rng = np.random.default_rng(0)
    rows = rng.uniform(0.1, 2.0, (40, 3))
    calls = [call(0.05 + 2.0 * work + 1.5 * moved + 3.0 * trip, work, moved, trip) for work, moved, trip in rows]
    line = Regression.fitted(calls)
    assert line.weights == pytest.approx([0.05, 2.0, 1.5, 3.0])
    assert line.predict(call(0.0, 1.0, 1.0, 1.0)) == pytest.approx(6.55)


def test_the_regression_gives_nothing_a_negative_price() -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(0.1, 1.0, (40, 2))
    calls = [call(2.0 + work - 1.5 * trip, work, 0.0, trip) for work, trip in rows]
    assert (Regression.fitted(calls).weights >= 0).all()


def test_the_last_time_is_carried_over_to_another_link_by_what_is_declared() -> None:
    last = Last(lambda one: one.function)
    assert np.isnan(last.predict(call(0.0)))
    last.observe(call(1.0, moved=0.4, trip=0.1))
    assert last.predict(call(0.0, moved=2.0, trip=0.2)) == pytest.approx(2.7)


def test_the_error_of_a_cell_is_the_median_of_its_calls_own_errors() -> None:
    calls = [call(1.0), call(1.2), call(9.0), call(2.0, cell="b"), call(2.0, cell="b")]
    off = errors([1.2, 1.14, 0.9, 2.5, 2.5], calls)
    assert off == pytest.approx({"a": 0.2, "b": 0.25})
    assert spread(calls) == pytest.approx({"a": 1 / 6, "b": 0.0})


def test_a_prediction_that_was_not_made_is_wholly_off() -> None:
    assert errors([float("nan")] * 2, [call(1.0), call(1.0)]) == {"a": 1.0}


def test_the_share_of_cells_within_a_bound() -> None:
    found = share_within([0.02, 0.1, 0.3, 0.05], 0.10)
    assert found.value == 0.75
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
