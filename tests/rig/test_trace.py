from __future__ import annotations

from pathlib import Path

import pytest

from tierflow.errors import RigError
from tierflow.rig import TraceRow, read_trace


def test_a_trace_file_gives_rows_with_what_each_changes(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("time,rate,delay,loss\n0,8 Mbit/s,10 ms,\n1.5 s,,,0.5 %\n")
    assert read_trace(file) == (TraceRow(0.0, rate=1e6, delay=0.01), TraceRow(1.5, loss=0.005))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "columns none"),
        ("rate\n8 Mbit/s\n", "columns rate"),
        ("time,speed\n0,1\n", "columns time, speed"),
        ("time,rate\n", "no rows"),
        ("time,rate\n0,8 apples\n", ":2: '8 apples'"),
        ("time,rate\n0,8 Mbit/s\n,8 Mbit/s\n", ":3 has no time"),
        ("time,rate\n0,8 Mbit/s,9\n", ":2 has more cells"),
        ("time,rate\n0,0\n", "no link can be"),
    ],
)
def test_a_bad_trace_is_one_error_that_says_where_and_how(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(text)
    with pytest.raises(RigError) as caught:
        read_trace(file)
    assert says in str(caught.value)


def test_a_trace_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "values", [{"rate": 0.0}, {"rate": float("inf")}, {"delay": -1.0}, {"loss": 1.5}, {"jitter": float("nan")}]
)
def test_values_no_link_can_have_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(RigError, match="no link can be"):
        TraceRow(0.0, **values)
