"""The results page is made from the result files and from nothing else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from benchmarks.result import FOLDER, Figure, Result
from benchmarks.results import page, plot, read

FIGURE = Figure(name="calls: tierflow over plain Ray", value=0.99, low=0.97, high=1.01, unit="x")
RESULT = Result(
    id="C3",
    title="Dispatch",
    command="python -m benchmarks C3",
    commit="0" * 12,
    machine="2 cores",
    date="2026-11-24",
    repeats=7,
    seeds=(0,),
    baseline="plain Ray",
    figures=(FIGURE,),
    bar=">= 0.95 x",
    met=True,
)


def test_the_page_and_the_plots_are_those_of_the_files() -> None:
    results = read()
    assert results
    assert (FOLDER.parent / "RESULTS.md").read_text() == page(results)
    for result in results:
        assert (FOLDER / f"{result.id}.svg").read_text() == plot(result)


def test_a_missed_bar_is_written_as_missed() -> None:
    assert "**missed**" in page([RESULT.model_copy(update={"met": False})])
    assert "| calls: tierflow over plain Ray | 0.990 | 0.970 to 1.010 | x |" in page([RESULT])


def test_a_result_has_enough_repeats_and_no_unknown_entry() -> None:
    good = RESULT.model_dump()
    for wrong in ({"repeats": 6}, {"better": True}):
        with pytest.raises(ValidationError):
            Result.model_validate(good | wrong)
