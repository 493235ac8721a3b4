from __future__ import annotations

import numpy as np
import pytest

from jobs.anomaly.catalog import CATALOG, load
from jobs.anomaly.series import SeriesError, runs

EVENTS = {"pressure": 1, "ecg": 3, "water": 4, "watch": 3}


@pytest.mark.parametrize("name", CATALOG)
def test_no_row_is_in_two_parts_and_no_labelled_row_is_learned_from(name: str) -> None:
    series = load(name)
    split = series.split
    together = np.concatenate([split.train, split.calibration, split.test])
    assert len(np.unique(together)) == len(together)
    assert np.isfinite(series.values).all()
    assert len(series.times) == len(series.values)
    if series.labels is None:
        assert name not in EVENTS
        assert series.labelled_by.startswith("nobody")
        return
    assert not series.labels[split.train].any()
    assert not series.labels[split.calibration].any()
    assert len(runs(series.labels[split.test])) == EVENTS[name]


def test_the_series_are_six_different_ones() -> None:
    assert len({load(name).source for name in CATALOG}) == 6


def test_the_pressure_anomaly_is_the_archives() -> None:
    series = load("pressure")
    assert series.labels is not None
    assert runs(series.labels) == [(4187, 4199)]


def test_a_series_nobody_ships() -> None:
    with pytest.raises(SeriesError, match="there is no shipped series 'wind'; there are pressure, ecg"):
        load("wind")
