"""The level filter: noise, drift, steps and bursts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.cost.level import Level
from tierflow.topology.column import Source, Value


def steady(value: float, samples: int = 20, noise: float = 0.03) -> Level:
    rng = np.random.default_rng(1)
    level = Level.known(Value(value, value / 4, Source.DECLARED), 0.0)
    for now in range(1, samples + 1):
        level = level.observed(value * float(rng.lognormal(0, noise)), float(now))
    return level


def test_noise_is_averaged_and_the_level_becomes_sure() -> None:
    seen = steady(1e6).value(20.0)
    assert seen.value == pytest.approx(1e6, rel=0.02)
    assert seen.deviation < 0.05 * seen.value
    assert seen.source is Source.MEASURED


@pytest.mark.parametrize("factor", [0.1, 0.5, 2.0, 10.0])
def test_a_step_is_believed_after_one_sample(factor: float) -> None:
    after = steady(1e6).observed(1e6 * factor, 21.0)
    assert after.value(21.0).value == pytest.approx(1e6 * factor)
    assert after.observed(1e6 * factor * 1.02, 22.0).value(22.0).value == pytest.approx(1e6 * factor, rel=0.02)


def test_a_burst_of_one_sample_is_taken_back() -> None:
    level = steady(1e6)
    after = level.observed(1e5, 21.0).observed(1.01e6, 22.0)
    assert after.value(22.0).value == pytest.approx(level.value(20.0).value)


def test_a_patient_level_believes_a_step_at_its_second_sample() -> None:
    level = Level.known(Value(0.01, 0.002), 0.0, loud=0.25, patient=True)
    once = level.observed(1.0, 1.0)
    assert once.value(1.0).value == pytest.approx(0.01)
    assert once.observed(0.011, 2.0).observed(1.0, 3.0).value(3.0).value == pytest.approx(0.01, rel=0.05)
    assert once.observed(1.2, 2.0).value(2.0).value == pytest.approx(1.0)


def test_a_sample_that_only_bounds_can_raise_and_not_lower() -> None:
    level = steady(1e6)
    assert level.at_least(1e5, 21.0) is level
    assert level.at_least(1e7, 21.0).value(21.0).value == pytest.approx(1e7)


def test_what_nobody_looks_at_becomes_less_sure() -> None:
    level = steady(1e6)
    assert level.value(20.0).deviation < level.value(80.0).deviation < level.value(800.0).deviation


@given(samples=st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=30))
def test_the_level_stays_within_what_was_seen(samples: list[float]) -> None:
    level = Level.known(Value(samples[0], samples[0] / 4), 0.0)
    for now, sample in enumerate(samples):
        level = level.observed(sample, float(now))
    seen = level.value(float(len(samples)))
    assert min(samples) * (1 - 1e-9) <= seen.value <= max(samples) * (1 + 1e-9)
    assert 0 < seen.deviation < float("inf")


def test_a_sample_that_was_taken_badly_counts_less() -> None:
    level = steady(1e6)
    sure, unsure = level.observed(1.1e6, 21.0), level.observed(1.1e6, 21.0, doubt=0.3)
    assert level.value(21.0).value < unsure.value(21.0).value < sure.value(21.0).value
    assert level.observed(5e5, 21.0, doubt=0.5).value(21.0).value > 9e5  # it need not be a step
