"""A view that is written is seen by other processes soon, and for the price of a stat."""

from __future__ import annotations

from pathlib import Path

from tierflow.control import Peer, Report
from tierflow.runtime.view import Reach, ViewFile, kept_reports, view_file, write_view

GW = Report(Peer("gw-1", "edge", "plant-1", "10.0.0.2"), 7, 3, frozenset({"cam-1"}))


def test_nothing_is_cut_where_no_view_was_written(tmp_path: Path) -> None:
    view = ViewFile(view_file(tmp_path / "none"))
    assert view.latest() == Reach()
    assert view.latest() is view.latest()


def test_it_is_looked_at_again_after_a_twentieth_of_a_second(tmp_path: Path) -> None:
    now = [0.0]
    view = ViewFile(view_file(tmp_path), lambda: now[0])
    write_view(view_file(tmp_path), Reach(1, {"gw-1": 5.0}), [GW])
    first = view.latest()
    assert first == Reach(1, {"gw-1": 5.0})
    write_view(view_file(tmp_path), Reach(2), [GW])
    assert view.latest() is first
    now[0] = 0.06
    assert view.latest() == Reach(2)
    now[0] = 0.12
    assert view.latest() is view.latest()


def test_a_view_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    view_file(tmp_path).write_text("{half")
    assert ViewFile(view_file(tmp_path)).latest() == Reach()
    assert kept_reports(view_file(tmp_path)) == ()


def test_who_was_known_is_known_in_the_next_life_as_what_any_report_replaces(tmp_path: Path) -> None:
    write_view(view_file(tmp_path), Reach(1), [GW])
    (kept,) = kept_reports(view_file(tmp_path))
    assert kept.peer == GW.peer
    assert (GW.life, -1) == kept.version < GW.version
