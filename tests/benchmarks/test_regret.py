"""The arithmetic of decision regret."""

from __future__ import annotations

import pytest

from benchmarks.regret import Cell, decided, ratio, regret, worth


def made(ours: float, chosen: str, name: str = "x") -> Cell:
    """Seven rounds without noise, in which the edge is the best fixed place."""
    fixed = {"device": (3.0,) * 7, "edge": (1.0,) * 7, "cloud": (2.0,) * 7}
    return Cell(name, (ours,) * 7, (chosen,) * 7, fixed, {"plain Ray": (3.0,) * 7})


def test_a_choice_of_the_best_place_has_no_regret() -> None:
    cell = made(1.0, "edge")
    assert cell.best == "edge"
    assert regret([cell]).value == 0.0
    assert decided([cell]).value == 0.0


def test_regret_is_the_share_that_calls_took_longer_than_the_best_fixed_place() -> None:
    assert regret([made(1.1, "edge")]).value == pytest.approx(0.1)
    assert decided([made(1.1, "edge")]).value == 0.0
    assert decided([made(2.0, "cloud")]).value == pytest.approx(1.0)


def test_over_several_cells_the_times_are_added_not_the_shares() -> None:
    cells = [made(1.0, "edge"), made(2.0, "cloud")]
    assert regret(cells).value == pytest.approx(0.5)
    assert ratio(cells, "device").value == pytest.approx(2.0)
    assert ratio(cells, "plain Ray").value == pytest.approx(2.0)


def test_single_wrong_decisions_count_by_their_share() -> None:
    fixed = {"device": (3.0,) * 4, "edge": (1.0,) * 4}
    cell = Cell("x", (1.0, 1.0, 1.0, 3.0), ("edge", "edge", "edge", "device"), fixed, {})
    assert decided([cell]).value == pytest.approx(0.5)


def test_the_interval_holds_the_value_and_is_the_same_for_the_same_seed() -> None:
    fixed = {"device": (1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.3), "edge": (1.1, 1.0, 1.0, 1.2, 0.9, 1.0, 1.1)}
    cell = Cell("x", (1.0, 1.1, 1.2, 0.9, 1.0, 1.1, 1.0), ("edge",) * 7, fixed, {})
    found = regret([cell], seed=2)
    assert found == regret([cell], seed=2)
    assert found.low <= found.value <= found.high
    mean = worth(cell.ours)
    assert mean.low <= mean.value <= mean.high
    assert mean.value == pytest.approx(sum(cell.ours) / 7)
