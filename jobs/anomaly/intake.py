"""A user's own file (CSV or Parquet) as a series: what cannot be used is counted and named, or is one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from jobs.anomaly.series import Flags, Floats, Series, SeriesError, split_by_share

__all__ = ["read"]

LABEL_NAMES = ("label", "anomaly", "is_anomaly")
TIME_NAMES = ("time", "timestamp", "datetime", "date")
GAP = 1.5  # a step between rows this many times the usual one is a gap


def read(path: Path, *, time: str | None = None, label: str | None = None) -> Series:
    """Read one time column, the value columns and, where there is one, the label column.

    ``time`` defaults to a column called time, timestamp, datetime or date, else the first; ``label`` to one called
    label, anomaly or is_anomaly. Rows that cannot be used are dropped; ``troubles`` counts them by reason.

    Raises:
        SeriesError: when the file is absent, empty, not a table, or too little is left of it.
    """
    table = _table(path)
    if table.num_rows == 0 or table.num_columns == 0:
        raise SeriesError(f"{path} holds no rows; it needs one time column and at least one column of values")
    stamp = _named(path, table, time, TIME_NAMES) or table.column_names[0]
    mark = _named(path, table, label, LABEL_NAMES)
    columns = [name for name in table.column_names if name not in (stamp, mark)]
    if not columns:
        raise SeriesError(f"{path} has no column of values beside {stamp!r}; add at least one column of numbers")
    return _clean(path, table, stamp, mark, columns)


def _table(path: Path) -> pa.Table:
    if not path.is_file():
        raise SeriesError(f"there is no file {path} on this node; give the path of a CSV or Parquet file that is here")
    if path.stat().st_size == 0:
        raise SeriesError(f"{path} is empty; it needs a header, one time column and at least one column of values")
    skipped: list[str] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        skipped.append(row.text or "")
        return "skip"

    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path)
        options = pyarrow.csv.ParseOptions(invalid_row_handler=note)
        table = pyarrow.csv.read_csv(path, parse_options=options)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise SeriesError(
            f"{path} cannot be read as {path.suffix or 'CSV'}: {error}; save it as CSV or Parquet"
        ) from error
    return table.replace_schema_metadata({"skipped": str(len(skipped))})


def _named(path: Path, table: pa.Table, asked: str | None, usual: tuple[str, ...]) -> str | None:
    if asked is not None and asked not in table.column_names:
        raise SeriesError(f"{path} has no column {asked!r}; it has {', '.join(table.column_names)}")
    return asked or next((name for name in table.column_names if name.lower() in usual), None)


def _numbers(column: pa.ChunkedArray) -> tuple[Floats, int]:
    """The column as float64 with NaN where there is no number, and how many cells held text."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = np.array(["" if cell is None else cell.strip() for cell in column.to_pylist()])
        values = np.array([_number(cell) for cell in text])
        return values, int(np.sum(np.isnan(values) & (text != "") & (np.char.lower(text) != "nan")))
    try:
        filled = pc.fill_null(pc.cast(column, pa.float64()), float("nan"))
    except pa.ArrowInvalid as error:
        raise SeriesError(f"a value column of type {column.type} is not numbers: {error}; leave it out") from error
    return np.asarray(filled.to_numpy(), dtype=np.float64), 0


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _seconds(column: pa.ChunkedArray) -> Floats:
    """Times as float64 in their own unit (seconds for dates), NaN where there is none."""
    if pa.types.is_string(column.type):
        numbers, texts = _numbers(column)
        if texts == 0:
            return numbers
        return np.array([_moment(cell) for cell in column.to_pylist()])
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        whole = pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
        return np.asarray(pc.fill_null(pc.cast(whole, pa.float64()), float("nan")).to_numpy(), dtype=np.float64) / 1e6
    return _numbers(column)[0]


def _moment(cell: str | None) -> float:
    from datetime import datetime

    try:
        return datetime.fromisoformat((cell or "").strip()).timestamp()
    except ValueError:
        return float("nan")


def _clean(path: Path, table: pa.Table, stamp: str, mark: str | None, columns: list[str]) -> Series:
    skipped = int((table.schema.metadata or {}).get(b"skipped", b"0"))
    troubles = [f"{skipped} rows had the wrong number of cells"] if skipped else []
    times = _seconds(table.column(stamp))
    values, keep = [], ~np.isnan(times)
    _count(troubles, int(np.sum(~keep)), f"rows had no readable time in {stamp!r}")
    for name in columns:
        numbers, texts = _numbers(table.column(name))
        _count(troubles, texts, f"rows had text in {name!r}")
        _count(troubles, int(np.sum(~np.isfinite(numbers))) - texts, f"rows had no number in {name!r}")
        keep &= np.isfinite(numbers)
        values.append(numbers)
    latest = np.fmax.accumulate(np.where(keep, times, -np.inf))
    behind = keep & (times <= np.concatenate([[-np.inf], latest[:-1]]))
    _count(troubles, int(behind.sum()), "rows were not later than the row before them")
    keep &= ~behind
    if not keep.any():
        raise SeriesError(f"{path} has no usable row: {'; '.join(troubles)}")
    return _assemble(path, table, (stamp, mark), columns, np.column_stack(values)[keep], keep, times, troubles)


def _count(troubles: list[str], number: int, what: str) -> None:
    if number:
        troubles.append(f"{number} {what}")


def _assemble(
    path: Path,
    table: pa.Table,
    roles: tuple[str, str | None],
    columns: list[str],
    values: Floats,
    keep: Flags,
    times: Floats,
    troubles: list[str],
) -> Series:
    stamp, mark = roles
    moving = np.ptp(values, axis=0) > 0
    still = [name for name, moves in zip(columns, moving, strict=True) if not moves]
    troubles.extend(f"column {name!r} never changes and was left out" for name in still)
    if not moving.any():
        raise SeriesError(f"{path}: no column of values changes ({', '.join(columns)}); nothing can be learned from it")
    steps = np.diff(times[keep])
    if len(steps):
        gaps = steps > GAP * np.median(steps)
        where = np.flatnonzero(gaps)
        _count(troubles, len(where), "gaps in time" + (f", the first after row {where[0] + 1}" if len(where) else ""))
    labels = None
    if mark is not None:
        labels = np.nan_to_num(_numbers(pc.cast(table.column(mark), pa.float64()))[0])[keep] > 0
    stamps = tuple(str(cell) for cell, kept in zip(table.column(stamp).to_pylist(), keep, strict=True) if kept)
    names = tuple(name for name, moves in zip(columns, moving, strict=True) if moves)
    split = split_by_share(str(path), labels, len(values))
    by = f"the column {mark!r}" if mark else "nobody: the file has no label column"
    return Series(
        path.stem, path.stem, str(path), "", names, stamps, values[:, moving], labels, by, split, tuple(troubles)
    )
