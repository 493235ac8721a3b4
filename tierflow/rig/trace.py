"""Traces: how a link changes over time."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tierflow.errors import RigError, UnitError
from tierflow.units import duration, rate, share

__all__ = ["TraceRow", "read_trace"]

_COLUMNS: dict[str, Callable[[str], float]] = {
    "time": duration,
    "rate": rate,
    "delay": duration,
    "loss": share,
    "jitter": duration,
}
_MEND = "write columns time, rate, delay, loss, jitter with units, as in '2.5 s,10 Mbit/s,25 ms,0.1 %,1 ms'"


@dataclass(frozen=True, slots=True)
class TraceRow:
    """From `time` seconds after the start: rate in bytes per second, delay and jitter in seconds, loss 0 to 1.

    None leaves a value as it is. Raises `RigError` for values that no link can have.
    """

    time: float
    rate: float | None = None
    delay: float | None = None
    loss: float | None = None
    jitter: float | None = None

    def __post_init__(self) -> None:
        positive = self.rate is None or (math.isfinite(self.rate) and self.rate > 0)
        times = all(t is None or (math.isfinite(t) and t >= 0) for t in (self.time, self.delay, self.jitter))
        if not (positive and times and (self.loss is None or 0 <= self.loss <= 1)):
            raise RigError(
                f"no link can be as {self} says",
                "a rate is above 0 (use cut for a link that carries nothing), times are not negative, loss is 0 to 1",
            )

    def change(self) -> dict[str, float]:
        """The values that this row gives, by name."""
        values = {"rate": self.rate, "delay": self.delay, "loss": self.loss, "jitter": self.jitter}
        return {name: value for name, value in values.items() if value is not None}


def read_trace(path: str | Path) -> tuple[TraceRow, ...]:
    """The trace in a CSV file with a header: `time` and any of rate, delay, loss, jitter; empty: no change.

    Raises:
        RigError: the file cannot be read or a row is not one; says which line.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            columns = reader.fieldnames or ()
            unknown = [name for name in columns if name not in _COLUMNS]
            if "time" not in columns or unknown:
                raise RigError(f"{path} has the columns {', '.join(columns) or 'none'}", _MEND)
            rows = [_row(row, f"{path}:{reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RigError(f"the trace {path} cannot be read ({error})", _MEND) from None
    if not rows:
        raise RigError(f"the trace {path} has no rows", _MEND)
    return tuple(rows)


def _row(row: dict[str | None, str | None], place: str) -> TraceRow:
    values: dict[str, float] = {}
    for name, text in row.items():
        if name is None:
            raise RigError(f"{place} has more cells than columns", _MEND)
        if text is not None and text.strip():
            try:
                values[name] = _COLUMNS[name](text.strip())
            except UnitError as error:
                raise RigError(f"{place}: {error}", _MEND) from None
    if "time" not in values:
        raise RigError(f"{place} has no time", _MEND)
    return TraceRow(**values)
