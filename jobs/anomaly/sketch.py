"""A drawing's worth of a series: per column of the picture the lowest and the highest reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.anomaly.series import Floats, Series

__all__ = ["COLUMNS", "Sketch", "envelope", "sketch"]

COLUMNS = 600


@dataclass(frozen=True)
class Sketch:
    """``low`` and ``high`` (columns,) of one channel over the test rows; ``first`` and ``last`` are their times."""

    channel: str
    low: Floats
    high: Floats
    first: str
    last: str


def envelope(values: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest of each of at most 600 equal stretches of ``values``, (rows,)."""
    starts = np.unique(np.linspace(0, len(values), COLUMNS, endpoint=False).astype(int))
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)


def sketch(series: Series) -> Sketch:
    """Draw the first channel of the test rows."""
    rows = series.split.test
    low, high = envelope(series.values[rows, 0])
    return Sketch(series.columns[0], low, high, series.times[rows[0]], series.times[rows[-1]])
