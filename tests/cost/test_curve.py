"""Curves: what they learn, how fast, and what they make of outliers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.cost.curve import Curve, size_class

sizes = st.integers(0, 10**10).map(float)  # whole bytes
amounts = st.floats(1e-6, 1e4)


def learned(samples: list[tuple[float, float]]) -> Curve:
    curve = Curve()
    for size, amount in samples:
        curve = curve.observed(size, amount)
    return curve


@pytest.mark.parametrize(
    ("law", "within"),
    [
        (lambda n: 0.002 + 3e-8 * n, 0.03),
        (lambda n: 1e-9 * n * math.log2(n + 2), 0.03),
        (lambda n: 1e-14 * n**2 + 1e-4, 0.08),
        (lambda n: 0.05, 0.03),
    ],
    ids=["affine", "n log n", "square", "constant"],
)
def test_a_law_is_learned_within_the_sizes_that_were_seen(law, within: float) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(3)
    drawn = np.exp(rng.uniform(np.log(1e3), np.log(1e7), 400))
    curve = learned([(float(n), law(n) * rng.lognormal(0, 0.05)) for n in drawn])
    errors = [abs(curve.at(n)[0] / law(n) - 1) for n in np.geomspace(2e3, 5e6, 50)]
    assert np.mean(errors) < within


def test_beyond_what_was_seen_an_affine_law_goes_on_and_is_less_sure() -> None:
    curve = learned([(n, 0.002 + 3e-8 * n) for n in (1e5, 2e5, 4e5, 8e5) * 5])
    far, deviation = curve.at(1e8)
    assert far == pytest.approx(0.002 + 3.0, rel=0.05)
    assert deviation / far > 1
    assert curve.at(0)[0] == pytest.approx(0.002, rel=0.1)


def test_after_one_sample_half_is_constant() -> None:
    curve = Curve().observed(1e6, 1.0)
    assert curve.at(1e6)[0] == 1.0
    assert curve.at(2e6)[0] == pytest.approx(1.5)
    assert curve.at(0)[0] == pytest.approx(0.5)


def test_one_outlier_changes_nothing_and_a_new_level_is_learned() -> None:
    steady = learned([(1e6, 1.0 + 0.01 * (i % 3)) for i in range(30)])
    once = steady.observed(1e6, 20.0)
    assert once.at(1e6) == steady.at(1e6)
    assert once.observed(1e6, 1.0).knots[0].run == 0
    again = learned([(1e6, 1.0)] * 30 + [(1e6, 3.0)] * 3)
    assert again.at(1e6)[0] == pytest.approx(3.0)


def test_the_version_changes_only_with_what_is_more_than_noise() -> None:
    first = Curve().observed(1e6, 1.0)
    curve = first
    for _ in range(20):
        curve = curve.observed(1e6, 1.02)
    assert (curve.version, curve.count) == (first.version, 21)
    assert len({Curve().version, curve.version, curve.observed(1e3, 0.1).version}) == 3


def test_the_version_is_the_same_on_every_machine() -> None:
    assert Curve().observed(1e6, 1.0).observed(10.0, 0.5).version == 1318864797


@given(samples=st.lists(st.tuples(sizes, amounts), min_size=1, max_size=30), size=sizes)
def test_a_curve_is_positive_finite_and_close_to_what_it_saw_at_one_size(
    samples: list[tuple[float, float]], size: float
) -> None:
    curve = learned(samples)
    amount, deviation = curve.at(size)
    assert 0 < amount < math.inf
    assert 0 < deviation < math.inf
    assert list(curve.knots) == sorted(curve.knots, key=lambda knot: knot.size)
    assert len({size_class(knot.size) for knot in curve.knots}) == len(curve.knots)
    assert Curve.of(curve.knots, curve.count) == curve
    same = learned([(size, samples[0][1])] * 5)
    assert same.at(size)[0] == pytest.approx(samples[0][1])


def test_what_disturbed_the_first_calls_is_soon_forgotten() -> None:
    curve = Curve()
    for amount in (2.0, 1.0, 1.02, 0.98):
        curve = curve.observed(1000, amount)
    assert curve.at(1000)[0] == pytest.approx(1.0, rel=0.15)
