"""The two methods that the models are held against: z-score and seasonal-naive, each given its fair best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.anomaly.series import Floats

__all__ = ["SeasonalNaive", "ZScore", "season"]


@dataclass(frozen=True)
class ZScore:
    """Distance from the training mean in training deviations, the farthest channel of each row."""

    mean: Floats
    deviation: Floats

    @classmethod
    def fit(cls, train: Floats) -> ZScore:
        """Learn mean and deviation of each channel; ``train`` is (rows, channels)."""
        return cls(train.mean(axis=0), train.std(axis=0) + 1e-9)

    def score(self, before: Floats, values: Floats) -> Floats:
        """One score a row of ``values``; ``before`` is not looked at."""
        return np.asarray(np.abs((values - self.mean) / self.deviation).max(axis=1))


@dataclass(frozen=True)
class SeasonalNaive:
    """Distance from the value one season ago in training deviations, the farthest channel of each row."""

    period: int
    deviation: Floats

    @classmethod
    def fit(cls, train: Floats) -> SeasonalNaive:
        """Find the season on the training data by autocorrelation; ``train`` is (rows, channels)."""
        return cls(season(train), train.std(axis=0) + 1e-9)

    def score(self, before: Floats, values: Floats) -> Floats:
        """One score a row of ``values``; ``before`` holds at least one season of the rows that came before."""
        past = np.concatenate([before[-self.period :], values])
        return np.asarray(np.abs((past[self.period :] - past[: -self.period]) / self.deviation).max(axis=1))


def season(train: Floats) -> int:
    """The lag of the highest autocorrelation after its first fall below zero, at most a third of the rows."""
    rows = len(train)
    centred = train - train.mean(axis=0)
    sums = [np.correlate(column, column, "full")[rows - 1 :] / (column @ column + 1e-9) for column in centred.T]
    correlation = np.mean(sums, axis=0) * rows / (rows - np.arange(rows))
    longest = rows // 3
    below = np.flatnonzero(correlation[:longest] < 0)
    start = int(below[0]) if len(below) else 2
    return start + int(np.argmax(correlation[start:longest])) if longest > start + 1 else 1
