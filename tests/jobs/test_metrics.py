from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.anomaly.metrics import tally, threshold
from jobs.anomaly.series import runs


def flags(rows: int, *spans: tuple[int, int]) -> np.ndarray:
    made = np.zeros(rows, dtype=bool)
    for start, stop in spans:
        made[start:stop] = True
    return made


def test_runs_are_half_open() -> None:
    assert runs(flags(9, (0, 2), (5, 6), (8, 9))) == [(0, 2), (5, 6), (8, 9)]
    assert runs(flags(3)) == []


@given(st.lists(st.booleans(), max_size=60))
def test_runs_say_exactly_which_flags_are_true(given_flags: list[bool]) -> None:
    again = np.zeros(len(given_flags), dtype=bool)
    for start, stop in runs(np.array(given_flags, dtype=bool)):
        assert start < stop
        again[start:stop] = True
    assert again.tolist() == given_flags


@pytest.mark.parametrize(("at", "found", "false"), [(92, 1, 0), (91, 0, 1), (141, 1, 0), (142, 0, 1), (105, 1, 0)])
def test_an_event_is_found_within_the_reach_of_one_window(at: int, found: int, false: int) -> None:
    got = tally(flags(400, (at, at + 1)), flags(400, (100, 110)))
    assert (got.found, got.events, got.false_alarms) == (found, 1, false)


def test_false_alarms_near_each_other_are_one() -> None:
    got = tally(flags(10_000, (10, 11), (50, 51), (91, 92), (5000, 5100)), flags(10_000, (9000, 9010)))
    assert got.false_alarms == 3
    assert got.false_alarm_rate == pytest.approx(3.0)


def test_precision_and_recall_count_rows() -> None:
    got = tally(flags(400, (105, 115)), flags(400, (100, 110)))
    assert (got.precision, got.recall) == (0.5, 0.5)
    nothing = tally(flags(400), flags(400, (100, 110)))
    assert (nothing.found, nothing.precision, nothing.recall) == (0, 0.0, 0.0)


def test_without_labels_nothing_is_claimed() -> None:
    got = tally(flags(400, (5, 6), (300, 301)), None)
    assert (got.alarms, got.events, got.precision, got.recall) == (2, 0, None, None)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_no_calibration_row_is_an_alarm(scores: list[float]) -> None:
    assert max(scores) < threshold(np.array(scores))
