"""A watch through a cut, as it is told from the verdicts that arrived."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jobs.anomaly.outcome import Outcome
from jobs.anomaly.report import page
from jobs.anomaly.watch import Cut, Verdict, Watch
from jobs.anomaly.watched import rows


def verdicts(device: str, site: str, cut: bool) -> list[Verdict]:
    """One a second for 100 s; of the cut site those from 30 to 60 s arrive together at 62 s and after."""
    made = [float(at) for at in range(100)]
    arrived = [62 + (at - 30) / 100 if cut and 30 <= at < 60 else at + 0.05 for at in made]
    errors = ["Cut" if cut and at == 40 else "" for at in made]
    return [
        Verdict(device, site, int(at), at, there, 0.1 if 30 <= at < 60 else 0.05, error)
        for at, there, error in zip(made, arrived, errors, strict=True)
    ]


WATCH = Watch(100.0, (*verdicts("b1", "b", True), *verdicts("a1", "a", False)), {"a1": 100, "b1": 100})


def test_a_cut_is_read_off_what_arrived_late() -> None:
    assert WATCH.sites == ("a", "b")
    assert WATCH.cuts("a") == []
    (cut,) = WATCH.cuts("b")
    assert cut == Cut("b", 30.0, 62.0, 32, 31, 30, pytest.approx(0.29), pytest.approx(0.1))
    assert WATCH.p99("b") == pytest.approx(0.05)


def test_two_cuts_are_told_apart() -> None:
    late = [replace(one, arrived=95.5) if 85 <= one.made < 90 else one for one in WATCH.of("b")]
    assert [round(cut.start) for cut in replace(WATCH, verdicts=tuple(late)).cuts("b")] == [30, 85]


def test_the_backlog_grows_and_drains() -> None:
    assert list(WATCH.backlog("b", np.array([29.9, 45.5, 61.9, 63.9]))) == [0, 16, 30, 0]


def test_what_is_lost_and_what_came_twice() -> None:
    assert (WATCH.lost, WATCH.twice) == (0, 0)
    broken = replace(WATCH, verdicts=(*WATCH.verdicts[3:], WATCH.verdicts[-1]))
    assert (broken.lost, broken.twice) == (3, 1)


def test_the_report_shows_the_cut_the_answers_and_how_the_backlog_drained(outcome: Outcome) -> None:
    assert "Through cuts" not in page(outcome)
    text = page(replace(outcome, watch=WATCH))
    assert "<h2>Through cuts</h2>" in text
    assert "cut from 30 to 62 s" in text
    assert "31 of 32 (97%)" in text
    assert "Made: 200; lost: 0; arrived twice: 0" in text
    assert [row[1] for row in rows(WATCH)] == ["never cut", "cut from 30 to 62 s"]
