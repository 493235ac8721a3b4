"""How things are measured here: two sides in turn, many times, and the ratio of each pair."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Interval", "Pairs", "in_turn", "interval"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A median, or what a caller says that it is, and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """The same in another unit."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Seconds that each side took, repeat by repeat."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]


def in_turn(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Pairs:
    """Time both sides ``repeats`` times, A B, B A, A B and so on, after one run of each that does not count."""

    def timed(work: Callable[[], object]) -> float:
        began = clock()
        work()
        return clock() - began

    timed(ours)
    timed(theirs)
    mine, other = [], []
    for repeat in range(repeats):
        if repeat % 2 == 0:
            mine.append(timed(ours))
            other.append(timed(theirs))
        else:
            other.append(timed(theirs))
            mine.append(timed(ours))
    return Pairs(tuple(mine), tuple(other))


def interval(samples: Sequence[float], seed: int = 0, draws: int = 10_000) -> Interval:
    """The median of the samples with a bootstrap percentile interval (Efron 1979), the same for the same seed."""
    values = np.asarray(samples, dtype=float)
    rng = np.random.default_rng(seed)
    medians = np.median(values[rng.integers(0, len(values), (draws, len(values)))], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return Interval(float(np.median(values)), float(low), float(high))
