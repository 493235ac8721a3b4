"""Which estimator follows the rate of a link best: exponential average, plain Kalman, windowed maximum, or `Level`.

    python -m benchmarks.links                  # compare on the drawn traces and on the recorded one
    python -m benchmarks.links --record FILE    # record transfers over a shaped link of the rig (needs root)

A trace is what a fabric sees: one transfer after another, each with the rate that it had, whether its sender was
application-limited, and the rate that the link truly had. After each transfer an estimator says what the next one
will have; its error is taken against the true rate at that time.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tierflow.cost.level import Level
from tierflow.cost.transfer import FIRST_WINDOW, rate_of
from tierflow.topology.column import Source, Value

RECORDED = Path(__file__).parent / "traces" / "uplink.csv"
DECLARED = 2.5e6
"""Bytes per second that the cluster file says; every estimator starts from it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A transfer that ended at `time` (seconds) with a rate (bytes per second), and the true rate of the link."""

    time: float
    rate: float
    true: float
    limited: bool = False


class Estimator(Protocol):
    """Follows a rate."""

    def observe(self, seen: Seen) -> None:
        """Take in a transfer."""

    def rate(self) -> float:
        """What the next transfer is expected to have."""


class Average:
    """Exponentially weighted: a quarter of each new sample. Application-limited samples are ignored."""

    def __init__(self) -> None:
        self._rate = DECLARED

    def observe(self, seen: Seen) -> None:
        """Take in a transfer."""
        if not seen.limited or seen.rate > self._rate:
            self._rate += 0.25 * (seen.rate - self._rate)

    def rate(self) -> float:
        """What the next transfer is expected to have."""
        return self._rate


class WindowedMaximum:
    """The largest of the last ten samples, as BBR does (Cardwell et al., 2016)."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque([DECLARED], maxlen=10)

    def observe(self, seen: Seen) -> None:
        """Take in a transfer."""
        if not seen.limited or seen.rate > max(self._seen):
            self._seen.append(seen.rate)

    def rate(self) -> float:
        """What the next transfer is expected to have."""
        return max(self._seen)


class PlainKalman:
    """`Level` without its test for steps: one noise, one drift."""

    def __init__(self) -> None:
        self._mean, self._variance, self._time = math.log(DECLARED), 1.0, 0.0

    def observe(self, seen: Seen) -> None:
        """Take in a transfer."""
        sample = math.log(seen.rate)
        if not seen.limited or sample > self._mean:
            variance = self._variance + 0.005 * (seen.time - self._time)
            gain = variance / (variance + 0.1**2)
            self._mean += gain * (sample - self._mean)
            self._variance, self._time = variance * (1 - gain), seen.time

    def rate(self) -> float:
        """What the next transfer is expected to have."""
        return math.exp(self._mean)


class Product:
    """`tierflow.cost.level.Level`."""

    def __init__(self) -> None:
        self._level = Level.known(Value(DECLARED, DECLARED / 4, Source.DECLARED), 0.0)

    def observe(self, seen: Seen) -> None:
        """Take in a transfer."""
        take = self._level.at_least if seen.limited else self._level.observed
        self._level = take(seen.rate, seen.time)

    def rate(self) -> float:
        """What the next transfer is expected to have."""
        return math.exp(self._level.mean)


ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "average": Average,
    "windowed maximum": WindowedMaximum,
    "plain Kalman": PlainKalman,
    "level": Product,
}


def drawn(shape: str, seed: int, count: int = 300) -> list[Seen]:
    """A trace of one shape: `steady`, `steps`, `drift`, `bursts` or `all`; the same for the same seed."""
    rng = np.random.default_rng([seed, len(shape)])
    rate, trace, time = DECLARED, [], 0.0
    for number in range(count):
        time += float(rng.exponential(1.0))
        if shape in ("steps", "all") and number % 40 == 20:
            rate = DECLARED * float(rng.choice([0.1, 0.25, 0.5, 2.0, 4.0]))
        if shape in ("drift", "all"):
            rate *= math.exp(float(rng.normal(0, 0.01)))
        sample = rate * float(rng.lognormal(0, 0.05))
        if shape in ("bursts", "all") and rng.random() < 0.05:
            sample *= float(rng.uniform(0.2, 0.6))
        limited = bool(rng.random() < 0.2)
        trace.append(Seen(time, sample * float(rng.uniform(0.1, 0.9)) if limited else sample, rate, limited))
    return trace


def recorded(path: Path = RECORDED) -> list[Seen]:
    """The trace that was recorded on the rig: each row a TCP transfer over a link whose rate was changed."""
    trace = []
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            size, seconds, round_trip = float(row["size"]), float(row["seconds"]), float(row["round_trip"])
            if size <= FIRST_WINDOW:  # as `Watched` does
                continue
            rate = rate_of(size, seconds, round_trip)
            trace.append(Seen(float(row["time"]), rate or size / seconds, float(row["rate"]), rate is None))
    return trace


@dataclass(frozen=True, slots=True)
class Score:
    """Relative errors: the mean, the median over steps of the first after one transfer; and moves without a cause.

    A move is a change of the estimate by more than a fifth while the true rate did not change by as much.
    """

    error: float
    after_step: float
    moves: int


def score(make: Callable[[], Estimator], trace: Sequence[Seen]) -> Score:
    """How well an estimator follows a trace."""
    estimator, errors, steps, moves = make(), [], [], 0
    stepped = False
    for before, seen in zip([trace[0], *trace], trace, strict=False):
        old = estimator.rate()
        estimator.observe(seen)
        error = abs(estimator.rate() / seen.true - 1)
        changed = abs(math.log(seen.true / before.true)) > math.log(1.2)
        stepped = stepped or changed
        if abs(math.log(estimator.rate() / old)) > math.log(1.2) and not stepped:
            moves += 1
        if stepped and not seen.limited:
            steps.append(error)
            stepped = False
        errors.append(error)
    return Score(statistics.fmean(errors), statistics.median(steps) if steps else math.nan, moves)


def compare(seeds: int = 20) -> dict[str, dict[str, Score]]:
    """The scores of each estimator on each shape of trace, the mean of `seeds` traces each, and on the recorded one."""
    table: dict[str, dict[str, Score]] = {}
    for shape in ("steady", "steps", "drift", "bursts", "all", "recorded"):
        traces = [recorded()] if shape == "recorded" else [drawn(shape, seed) for seed in range(seeds)]
        table[shape] = {}
        for name, make in ESTIMATORS.items():
            rows = [score(make, trace) for trace in traces]
            table[shape][name] = Score(
                statistics.fmean(row.error for row in rows),
                statistics.fmean(row.after_step for row in rows),
                round(statistics.fmean(row.moves for row in rows)),
            )
    return table


def main() -> None:
    """Compare, or record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    if given.record:
        from benchmarks.record_links import record

        record(given.record)
        return
    print(f"{'trace':10} {'estimator':18} {'mean error':>10} {'after a step':>12} {'moves':>6}")
    for shape, rows in compare().items():
        for name, row in rows.items():
            print(f"{shape:10} {name:18} {row.error:10.1%} {row.after_step:12.1%} {row.moves:6}")


if __name__ == "__main__":
    main()
