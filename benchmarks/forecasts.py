"""The arithmetic of predictions: what a regression or the last time seen would have said, and how far each is off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Interval

__all__ = ["Last", "Observed", "Regression", "errors", "share_within", "spread"]

DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class Observed:
    """One call that was held to a node, in SI units.

    `work` is its operations over the declared speed of the node, `moved` the bytes of its input over the declared rate
    of the path to the node (0 where it is there), both in seconds but for a factor. `trip` is the declared round trip.
    `seconds` is what the caller saw; `predicted` what the fabric said before, NaN where it said nothing.
    """

    cell: str
    function: str
    node: str
    work: float
    moved: float
    trip: float
    seconds: float
    predicted: float = float("nan")


@dataclass(frozen=True, slots=True)
class Regression:
    """Seconds = a + b work + c moved + d trip, by least squares of the relative error over the given calls."""

    weights: NDArray[np.float64]

    @classmethod
    def fitted(cls, calls: Sequence[Observed]) -> Regression:
        """The best weights, none below 0: the active set is found by taking out what comes out negative."""
        seconds = np.array([call.seconds for call in calls])
        columns = np.array([_features(call) for call in calls]) / seconds[:, None]
        kept = list(range(columns.shape[1]))
        while True:
            found, *_ = np.linalg.lstsq(columns[:, kept], np.ones(len(calls)), rcond=None)
            if (found >= 0).all() or len(kept) == 1:
                break
            kept.pop(int(np.argmin(found)))
        weights = np.zeros(columns.shape[1])
        weights[kept] = found
        return cls(weights)

    def predict(self, call: Observed) -> float:
        """Seconds from call to result."""
        return float(self.weights @ _features(call))


def _features(call: Observed) -> NDArray[np.float64]:
    return np.array([1.0, call.work, call.moved, call.trip])


@dataclass(slots=True)
class Last:
    """The last time of the same thing, with the declared time of the bytes then taken out and that of now put in.

    What counts as the same is what `key` gives.
    """

    key: Callable[[Observed], object]
    _seen: dict[object, float] = field(default_factory=dict)

    def predict(self, call: Observed) -> float:
        """Seconds from call to result; NaN before the first."""
        return self._seen.get(self.key(call), float("nan")) + call.moved + call.trip

    def observe(self, call: Observed) -> None:
        """Remember a call."""
        self._seen[self.key(call)] = call.seconds - call.moved - call.trip


def errors(predicted: Sequence[float], calls: Sequence[Observed]) -> dict[str, float]:
    """For each cell the median over its calls of how far each is off its own prediction, as a share.

    A prediction that was not made (NaN) is wholly off. Medians are not compared with medians: that would find no fault
    in a prediction that is the time of the call before.
    """
    off: dict[str, list[float]] = {}
    for said, call in zip(predicted, calls, strict=True):
        error = abs(said / call.seconds - 1.0)
        off.setdefault(call.cell, []).append(error if np.isfinite(error) else 1.0)
    return {cell: float(np.median(found)) for cell, found in off.items()}


def spread(calls: Sequence[Observed]) -> dict[str, float]:
    """For each cell the median distance of a call's time from the median of its cell, as a share: the floor."""
    found = {}
    for cell in dict.fromkeys(call.cell for call in calls):
        times = np.array([call.seconds for call in calls if call.cell == cell])
        found[cell] = float(np.median(np.abs(times / np.median(times) - 1.0)))
    return found


def share_within(found: Sequence[float], bound: float, seed: int = 0) -> Interval:
    """The share of cells whose error is at most `bound`, with a bootstrap interval over the cells."""
    within = np.asarray(found) <= bound
    rng = np.random.default_rng(seed)
    drawn = within[rng.integers(0, len(within), (DRAWS, len(within)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(within.mean()), float(low), float(high))
