"""What E1 makes of what sensors noted down."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cut import CUT_OFF, Side, Times, read, result
from benchmarks.cut_actors import PERIOD
from benchmarks.cut_driver import OURS, PLAIN, RETRIES

TIMES = Times(connected=100.0, cut=140.0, healed=180.0, end=220.0)
CALLS = [(100 + at * PERIOD, 0.010, True) for at in range(240) for _ in CUT_OFF]
MADE = {f"r{at}": 100.0 + at for at in range(110)}


def applied(delay: float) -> list[tuple[float, str]]:
    """Each record so late; what was made in the cut 2 s after it, all together."""
    return [(182.0 if 140 <= at < 180 else at + delay, record) for record, at in MADE.items()]


GOOD = Side(OURS, TIMES, CALLS, MADE, applied(0.1))


def test_a_good_side_answers_all_and_loses_nothing() -> None:
    assert GOOD.answered() == pytest.approx([1.0] * 10)
    assert GOOD.lost() == GOOD.twice() == 0
    assert set(GOOD.p99(cut=True)) == {0.010}


def test_the_backlog_grows_in_the_cut_and_drains_after_it() -> None:
    assert [GOOD.backlog(at) for at in (139.5, 150.5, 179.5, 183.5)] == [0, 11, 40, 0]
    assert GOOD.drained() == pytest.approx(2.0)


def test_calls_that_were_not_made_are_not_answered() -> None:
    ended = Side(PLAIN, TIMES, [call for call in CALLS if call[0] < 160], MADE, applied(0.1))
    assert sum(ended.answered()) / 10 == pytest.approx(0.5)
    assert len(ended.p99(cut=True)) == 5


def test_what_is_lost_and_what_came_twice_is_counted_by_record() -> None:
    side = Side(RETRIES, TIMES, CALLS, MADE, [*applied(0.1)[5:], *applied(0.2)[50:60]])
    assert side.lost() == 5
    assert side.twice() == 10
    assert side.drained() == 40.0


def test_it_is_read_from_files_without_the_last_seconds(tmp_path: Path) -> None:
    name = CUT_OFF[0]
    (tmp_path / f"calls-{name}").write_text("100.1 100.0 0.1 0.532\n105.1 100.1 5.0 GetTimeoutError\n")
    (tmp_path / f"made-{name}").write_text("100.1 a\n105.0 b\n219.0 c\n")
    (tmp_path / "applied").write_text("100.2 a\n100.3 a\n219.5 c\n219.6 of-building-a\n")
    side = read(PLAIN, TIMES, tmp_path)
    assert side.calls == [(100.0, 0.1, True), (100.1, 5.0, False)]
    assert (side.lost(), side.twice()) == (1, 1)


def test_a_bar_is_met_only_if_all_of_it_is() -> None:
    plain, retries = (Side(name, TIMES, [], MADE, []) for name in (PLAIN, RETRIES))
    chaos = {"runs": 200, "lost": 0, "applied twice": 0, "failed": {}, "faults": {}}
    assert result([GOOD, plain, retries], chaos, 600).met is True
    assert result([GOOD, plain, retries], {**chaos, "lost": 1}, 600).met is False
    assert result([GOOD, plain, retries], {**chaos, "runs": 8}, 600).met is False
    slow = Side(OURS, TIMES, [(at, 0.1 if at >= 140 else 0.01, True) for at, _, _ in CALLS], MADE, applied(0.1))
    assert result([slow, plain, retries], chaos, 600).met is False
