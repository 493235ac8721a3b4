from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from jobs.anomaly.intake import read
from jobs.anomaly.series import SeriesError

START = datetime(2026, 1, 1)


def rows(number: int = 600) -> list[list[str]]:
    values = np.sin(np.arange(number) / 5)
    return [[(START + timedelta(minutes=i)).isoformat(), f"{value:.4f}"] for i, value in enumerate(values)]


def write(folder: Path, body: list[list[str]], head: str = "time,flow") -> Path:
    path = folder / "pump.csv"
    path.write_text("\n".join([head, *(",".join(row) for row in body)]) + "\n")
    return path


def test_a_clean_file_has_no_troubles(tmp_path: Path) -> None:
    series = read(write(tmp_path, rows()))
    assert series.troubles == ()
    assert series.values.shape == (600, 1)
    assert series.columns == ("flow",)
    assert series.labels is None
    parts = (series.split.train, series.split.calibration, series.split.test)
    assert [len(part) for part in parts] == [300, 90, 210]
    assert len(np.unique(np.concatenate(parts))) == 600


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    body = rows()
    body[3][1] = "broken"
    body[4][1] = "nan"
    body[5][1] = ""
    body[6][0] = "yesterday"
    body[9] = ["only one cell"]
    body[20], body[21] = body[21], body[20]
    series = read(write(tmp_path, body))
    assert series.troubles[:5] == (
        "1 rows had the wrong number of cells",
        "1 rows had no readable time in 'time'",
        "1 rows had text in 'flow'",
        "2 rows had no number in 'flow'",
        "1 rows were not later than the row before them",
    )
    assert len(series.values) == 600 - 6


def test_a_gap_is_counted_and_named(tmp_path: Path) -> None:
    body = rows()
    series = read(write(tmp_path, body[:100] + body[150:]))
    assert series.troubles == ("1 gaps in time, the first after row 100",)


def test_a_constant_column_is_left_out(tmp_path: Path) -> None:
    body = [[*row, "7"] for row in rows()]
    series = read(write(tmp_path, body, "time,flow,valve"))
    assert series.columns == ("flow",)
    assert series.troubles == ("column 'valve' never changes and was left out",)


def test_labelled_rows_never_train_or_choose_a_threshold(tmp_path: Path) -> None:
    body = [[*row, "1" if i in (10, 350, 500) else "0"] for i, row in enumerate(rows())]
    series = read(write(tmp_path, body, "time,flow,label"))
    assert series.labels is not None
    assert series.labels.sum() == 3
    assert not series.labels[series.split.train].any()
    assert not series.labels[series.split.calibration].any()
    assert series.labels[series.split.test].sum() == 1


def test_parquet_with_numbers_as_time_and_integer_values(tmp_path: Path) -> None:
    path = tmp_path / "pump.parquet"
    counts = np.random.default_rng(0).integers(0, 9, 600)
    pyarrow.parquet.write_table(pa.table({"when": np.arange(600), "count": counts}), path)
    series = read(path, time="when")
    assert series.columns == ("count",)
    assert series.troubles == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty; it needs a header"),
        ("time,flow\n", "holds no rows"),
        ("time\n1\n2\n", "has no column of values beside 'time'"),
        ("time,flow\n" + "".join(f"{i},7\n" for i in range(600)), "no column of values changes"),
        ("time,flow\n" + "".join(f"{i},{i % 7}\n" for i in range(50)), "has 50 usable rows"),
        ("time,flow\n" + "".join(f"{i},no\n" for i in range(600)), "has no usable row: 600 rows had text in 'flow'"),
    ],
)
def test_what_cannot_be_used_at_all_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "pump.csv"
    path.write_text(text)
    with pytest.raises(SeriesError, match=sentence):
        read(path)


def test_an_absent_file_and_an_absent_column(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="there is no file"):
        read(tmp_path / "none.csv")
    with pytest.raises(SeriesError, match="has no column 'clock'; it has time, flow"):
        read(write(tmp_path, rows()), time="clock")
    (tmp_path / "noise.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(SeriesError, match=r"cannot be read as \.parquet"):
        read(tmp_path / "noise.parquet")
