"""The arithmetic of measuring."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from benchmarks.measure import in_turn, interval


def test_sides_take_turns_and_the_first_run_of_each_does_not_count() -> None:
    order: list[str] = []
    ticks = count()
    pairs = in_turn(lambda: order.append("a"), lambda: order.append("b"), 4, clock=lambda: float(next(ticks)))
    assert "".join(order) == "ab" + "abbaabba"
    assert (len(pairs.ours), len(pairs.theirs)) == (4, 4)
    assert set(pairs.ours + pairs.theirs) == {1.0}


def test_the_interval_holds_the_median_and_is_the_same_for_the_same_seed() -> None:
    samples = [1.0, 1.1, 0.9, 1.05, 0.95, 1.2, 0.8]
    found = interval(samples, seed=3)
    assert found == interval(samples, seed=3)
    assert found.low <= found.value <= found.high
    assert found.value == 1.0


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        found = interval(rng.lognormal(0.0, 0.3, 21).tolist(), draws=500)
        hits += found.low <= 1.0 <= found.high
    assert hits / 200 == pytest.approx(0.95, abs=0.04)
