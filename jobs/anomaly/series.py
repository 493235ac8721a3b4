"""A sensor series with its labels, its split, and what was wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Flags", "Floats", "Indices", "Series", "SeriesError", "Split", "runs", "split_by_share", "values_of"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]

SHORTEST_TRAIN, SHORTEST_CALIBRATION, SHORTEST_TEST = 200, 80, 40


class SeriesError(ValueError):
    """A series that cannot be used: says what was read, what is wrong with it and what would mend it."""


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts; no row is in two of them.

    ``train`` fits models, ``calibration`` (normal too) chooses thresholds, ``test`` is scored and nothing else.
    """

    train: Indices
    calibration: Indices
    test: Indices


@dataclass(frozen=True)
class Series:
    """One sensor's readings.

    ``values`` is (rows, channels); ``labels`` is (rows,) and true where an anomaly is labelled, or None where nobody
    labelled any; ``labelled_by`` says who did; ``troubles`` names what was dropped or found odd, with counts.
    """

    name: str
    title: str
    source: str
    unit: str
    columns: tuple[str, ...]
    times: tuple[str, ...]
    values: Floats
    labels: Flags | None
    labelled_by: str
    split: Split
    troubles: tuple[str, ...] = ()

    def part(self, rows: Indices) -> Floats:
        """The values of these rows, (len(rows), channels)."""
        return self.values[rows]

    def batch(self, rows: Indices) -> pa.RecordBatch:
        """These rows as an Arrow batch: ``time`` and one column a channel."""
        arrays = [pa.array([self.times[row] for row in rows], pa.string())]
        arrays += [pa.array(self.values[rows, channel]) for channel in range(len(self.columns))]
        return pa.record_batch(arrays, names=["time", *self.columns])

    @property
    def raw_size(self) -> int:
        """Bytes of the whole series as Arrow: what sending everything to the cloud would carry."""
        return int(self.batch(np.arange(len(self.values))).nbytes)


def values_of(batch: pa.RecordBatch) -> Floats:
    """The channels of a batch made by :meth:`Series.batch`, (rows, channels)."""
    return np.column_stack([batch.column(name).to_numpy() for name in batch.schema.names if name != "time"])


def runs(flags: Sequence[bool] | Flags) -> list[tuple[int, int]]:
    """Half-open stretches ``(start, stop)`` over which the flags are true."""
    edges = np.diff(np.concatenate([[0], np.asarray(flags, dtype=np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def split_by_share(name: str, labels: Flags | None, rows: int, train: float = 0.5, calibration: float = 0.15) -> Split:
    """The first half trains, the next 15 % chooses thresholds, the rest tests; labelled rows never train or choose.

    Raises:
        SeriesError: when a part has too few rows to be of use.
    """
    first, second = int(rows * train), int(rows * (train + calibration))
    index = np.arange(rows)
    normal = np.ones(rows, dtype=bool) if labels is None else ~labels
    split = Split(index[:first][normal[:first]], index[first:second][normal[first:second]], index[second:])
    sizes = (len(split.train), len(split.calibration), len(split.test))
    if any(
        size < least for size, least in zip(sizes, (SHORTEST_TRAIN, SHORTEST_CALIBRATION, SHORTEST_TEST), strict=True)
    ):
        raise SeriesError(
            f"{name} has {rows} usable rows, which give {sizes[0]} normal rows to train, {sizes[1]} to choose a "
            f"threshold and {sizes[2]} to test; it needs {SHORTEST_TRAIN}, {SHORTEST_CALIBRATION} and {SHORTEST_TEST}: "
            f"give a longer recording"
        )
    return split
