"""The arithmetic of decision regret: what calls cost that were placed, over what the best fixed place would have cost.

A cell is one function under one link condition. Every side of a cell has the same number of repeats; repeat number k of
all its sides was measured in one round, so rounds are what the bootstrap draws from (Efron 1979).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Interval

__all__ = ["Cell", "decided", "ratio", "regret", "worth"]

DRAWS = 4_000
_Statistic = Callable[[Sequence[NDArray[np.intp]]], float]


@dataclass(frozen=True, slots=True)
class Cell:
    """Seconds of each call, by side: `ours` was placed by the fabric, `fixed` always went to one place.

    `chosen` are the places of our calls, in their order, by the names of `fixed`. `others` are further baselines.
    """

    name: str
    ours: tuple[float, ...]
    chosen: tuple[str, ...]
    fixed: Mapping[str, tuple[float, ...]]
    others: Mapping[str, tuple[float, ...]]

    @property
    def best(self) -> str:
        """The fixed place whose calls took least in the mean."""
        return min(self.fixed, key=lambda place: float(np.mean(self.fixed[place])))

    def side(self, name: str) -> tuple[float, ...]:
        """The calls of a fixed place or of another baseline."""
        return self.fixed[name] if name in self.fixed else self.others[name]


def regret(cells: Sequence[Cell], seed: int = 0) -> Interval:
    """Our mean time over that of the best fixed place, less 1; over several cells by the sums of their means.

    The best place of each cell is found again in every draw, as it was in the sample.
    """

    def of(rounds: Sequence[NDArray[np.intp]]) -> float:
        ours = sum(_mean(cell.ours, drawn) for cell, drawn in zip(cells, rounds, strict=True))
        best = sum(
            min(_mean(times, drawn) for times in cell.fixed.values()) for cell, drawn in zip(cells, rounds, strict=True)
        )
        return ours / best - 1.0

    return _bootstrap(cells, of, seed)


def decided(cells: Sequence[Cell], seed: int = 0) -> Interval:
    """The regret of the decisions alone: each of our calls counted with the mean time of the place it was given.

    What is left out is the noise between two calls to the same place, and what deciding itself takes.
    """

    def of(rounds: Sequence[NDArray[np.intp]]) -> float:
        ours = best = 0.0
        for cell, drawn in zip(cells, rounds, strict=True):
            means = {place: _mean(times, drawn) for place, times in cell.fixed.items()}
            ours += float(np.mean([means[cell.chosen[at]] for at in drawn]))
            best += min(means.values())
        return ours / best - 1.0

    return _bootstrap(cells, of, seed)


def ratio(cells: Sequence[Cell], side: str, seed: int = 0) -> Interval:
    """The time that all cells take on another side over what they take on ours: above 1 where ours is faster."""

    def of(rounds: Sequence[NDArray[np.intp]]) -> float:
        pairs = list(zip(cells, rounds, strict=True))
        theirs = sum(_mean(cell.side(side), drawn) for cell, drawn in pairs)
        return theirs / sum(_mean(cell.ours, drawn) for cell, drawn in pairs)

    return _bootstrap(cells, of, seed)


def worth(samples: Sequence[float], seed: int = 0) -> Interval:
    """The mean of the samples with its bootstrap interval."""
    values = np.asarray(samples, float)
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def _bootstrap(cells: Sequence[Cell], of: _Statistic, seed: int) -> Interval:
    rng = np.random.default_rng(seed)
    whole = [np.arange(len(cell.ours)) for cell in cells]
    drawn = [of([rng.integers(0, len(all_), len(all_)) for all_ in whole]) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(*(round(float(value), 12) for value in (of(whole), low, high)))  # 0 in place of -1e-14


def _mean(times: Sequence[float], rounds: NDArray[np.intp]) -> float:
    return float(np.asarray(times)[rounds].mean())
