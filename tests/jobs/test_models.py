from __future__ import annotations

import numpy as np
import pytest

from jobs.anomaly import forecaster, reviewer, summary
from jobs.anomaly.baselines import SeasonalNaive, ZScore, season
from jobs.anomaly.forecaster import CONTEXT, Forecaster, cut_windows
from jobs.anomaly.reviewer import Reviewer

WAVE = np.column_stack([np.sin(np.arange(800) * 2 * np.pi / 25), np.cos(np.arange(800) * 2 * np.pi / 25)])


def test_the_season_of_a_wave_is_its_period() -> None:
    assert season(WAVE) in (25, 50, 75, 100)
    assert season(WAVE + np.random.default_rng(0).normal(0, 0.3, WAVE.shape)) % 25 == 0


def test_baselines_score_the_farthest_channel() -> None:
    train = np.column_stack([np.tile([0.0, 2.0], 50), np.tile([0.0, 0.0, 2.0, 2.0], 25)])
    assert ZScore.fit(train).score(train, np.array([[1.0, 5.0]])) == pytest.approx([4.0])
    naive = SeasonalNaive(2, np.ones(2))
    assert naive.score(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 3.0], [1.5, 1.0]])).tolist() == [3.0, 0.5]


def test_a_forecaster_scores_a_broken_wave_higher() -> None:
    model = forecaster.train(WAVE[:600], seed=0, steps=150)
    broken = WAVE[600:].copy()
    broken[100:106] += 1.5
    calm, odd = model.score(WAVE[:600], WAVE[600:]), model.score(WAVE[:600], broken)
    assert len(odd) == 200
    assert odd[100:106].max() > 3 * calm.max()
    assert np.array_equal(calm[:96], odd[:96])


def test_scores_do_not_depend_on_how_rows_are_batched() -> None:
    model = forecaster.train(WAVE[:600], seed=0, steps=20)
    whole = model.score(WAVE[:600], WAVE[600:])
    parts = [model.score(WAVE[:600], WAVE[600:664]), model.score(WAVE[:664], WAVE[664:])]
    assert np.allclose(whole, np.concatenate(parts), rtol=1e-4)


def test_the_same_seed_gives_the_same_model_and_bytes_bring_it_back() -> None:
    one, two, other = (forecaster.train(WAVE, seed=seed, steps=20) for seed in (3, 3, 4))
    assert one.to_bytes() == two.to_bytes()
    assert one.to_bytes() != other.to_bytes()
    again = Forecaster.from_bytes(one.to_bytes())
    assert again.parameters == one.parameters
    assert np.allclose(one.score(WAVE, WAVE[:80]), again.score(WAVE, WAVE[:80]), rtol=0.05)


def test_the_device_model_is_a_few_thousand_numbers() -> None:
    assert forecaster.train(WAVE[:, :1], seed=0, steps=1).parameters == 2640


def test_a_release_is_shuffled_and_8_bits_a_number() -> None:
    made = summary.summarise(cut_windows(WAVE, 8))
    batch = summary.release(made, seed=1)
    assert batch.schema.names == ["summary"]
    assert batch.nbytes <= made.size
    got = summary.released(batch)
    assert np.abs(np.sort(got, axis=0) - np.sort(made, axis=0)).max() <= 1 / 32 + 1e-12
    assert not np.allclose(got, made, atol=1 / 32)


def test_a_summary_does_not_hold_the_phase() -> None:
    at = np.arange(40)[None, :, None]
    early, late = (np.sin((at + shift) * 2 * np.pi / 8) for shift in (0, 4))
    assert np.allclose(summary.summarise(early), summary.summarise(late), atol=1 / 32)


def test_a_reviewer_rebuilds_what_it_knows_and_not_what_it_does_not() -> None:
    known = summary.summarise(cut_windows(WAVE, 2))
    model = reviewer.train({"wave": known, "other": known + 1}, seed=0, steps=200)
    noise = summary.summarise(np.random.default_rng(0).normal(0, 1, (20, CONTEXT + 8, 2)))
    assert model.score("wave", noise).min() > 2 * model.score("wave", known).max()
    again = Reviewer.from_bytes(model.to_bytes())
    assert np.allclose(again.score("wave", known), model.score("wave", known), atol=0.02)
