"""E1: a site loses its uplink for ten minutes. Who goes on being answered in it, and what becomes of its records."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.cut_actors import PERIOD
from benchmarks.cut_driver import HEAD, OURS, PLAIN, RETRIES, SENSORS, SIDES
from benchmarks.driven import ROOT, Running, running
from benchmarks.measure import Interval, interval
from benchmarks.plain_ray import PlainRay, plain_ray
from benchmarks.result import Figure, Result, commit, machine, today
from tierflow.errors import FabricError
from tierflow.topology import ClusterSpec, load

__all__ = ["run"]

LINK, CUT_OFF = "building-b<->region-1", tuple(name for name in SENSORS if "-b" in name)
WINDOWS = 10
SLOWER, SEEDS = 1.2, 200
"""The bars: p99 in the cut over that of before, and how many seeded runs of faults."""
WARM = 20.0
"""Seconds after the start of all, which are not counted."""


@dataclass(frozen=True, slots=True)
class Times:
    """When things happened, in seconds of the machine's monotonic clock."""

    connected: float
    cut: float
    healed: float
    end: float

    def windows(self, cut: bool) -> list[tuple[float, float]]:
        """The time before the cut, or in it, in equal parts."""
        first, last = (self.cut, self.healed) if cut else (self.connected, self.cut)
        edges = np.linspace(first, last, WINDOWS + 1)
        return [(float(a), float(b)) for a, b in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Side:
    """What one side's sensors behind the cut noted down.

    Attributes:
        calls: when each local call was made, how long it took, and whether it was answered.
        made, applied: when each record was made, and each time that it was applied.
    """

    name: str
    times: Times
    calls: Sequence[tuple[float, float, bool]]
    made: Mapping[str, float]
    applied: Sequence[tuple[float, str]]

    def answered(self) -> list[float]:
        """For each window of the cut, the share of the calls due in it that were answered."""
        return [self.share(*window) for window in self.times.windows(cut=True)]

    def share(self, first: float, last: float) -> float:
        """The share of the calls due between two times that were answered."""
        due = (last - first) / PERIOD * len(CUT_OFF)
        return min(sum(right and first <= at < last for at, _, right in self.calls) / due, 1.0)

    def p99(self, cut: bool) -> list[float]:
        """For each window, the 99th percentile (s) of the local calls that were answered; none where none was."""
        found = []
        for first, last in self.times.windows(cut):
            took = [seconds for at, seconds, right in self.calls if right and first <= at < last]
            found += [float(np.percentile(took, 99))] if took else []
        return found

    def lost(self) -> int:
        """Records that were made, and not applied to the end."""
        return len(self.made.keys() - {record for _, record in self.applied})

    def twice(self) -> int:
        """Records that were applied more than once."""
        return sum(count > 1 for count in Counter(record for _, record in self.applied).values())

    def backlog(self, at: float) -> int:
        """Records that were made until a time and not applied until then."""
        applied = {record for when, record in self.applied if when <= at}
        return sum(when <= at and record not in applied for record, when in self.made.items())

    def drained(self) -> float:
        """Seconds after the heal until no record was behind by more than 2 s; to the end, if that did not come."""
        for at in np.arange(self.times.healed, self.times.end, 0.25):
            arrived = {record for when, record in self.applied if when <= at}
            if all(record in arrived for record, when in self.made.items() if when <= at - 2.0):
                return float(at - self.times.healed)
        return self.times.end - self.times.healed


def run(*, quick: bool) -> Result:
    """Cut the campus's building b off under each side in turn, and run the seeded faults."""
    connected, cut, after = (40.0, 90.0, 60.0) if quick else (120.0, 600.0, 120.0)
    sides = [_side(name, connected, cut, after) for name in SIDES]
    return result(sides, _chaos(8 if quick else SEEDS), cut)


def _side(name: str, connected: float, cut: float, after: float) -> Side:
    with tempfile.TemporaryDirectory(prefix="tf-cut-") as place, _cluster(name) as cluster:
        cluster.drive(HEAD, "benchmarks.cut_driver", name, place, timeout=600)
        cluster.say(f"{name}: the sensors warm up")
        time.sleep(WARM)
        at = time.monotonic()
        cluster.say(f"{name}: connected for {connected:g} s")
        time.sleep(connected)
        cut_at = time.monotonic()
        cluster.rig.cut(LINK)
        cluster.say(f"{name}: cut off for {cut:g} s")
        time.sleep(cut)
        cluster.rig.heal(LINK)
        healed = time.monotonic()
        cluster.say(f"{name}: healed, for {after:g} s")
        time.sleep(after)
        times = Times(at, cut_at, healed, time.monotonic())
        return read(name, times, Path(place))


@contextmanager
def _cluster(name: str) -> Iterator[Running | PlainRay]:
    spec: ClusterSpec = load(ROOT / "clusters" / "campus.yaml").model_copy(update={"name": "e1"})
    with running(spec, "E1") if name == OURS else plain_ray(spec, "E1") as cluster:
        yield cluster


def read(name: str, times: Times, folder: Path) -> Side:
    """What the sensors behind the cut noted down in a folder, but the last records: they are on their way."""
    calls = []
    for sensor in CUT_OFF:
        for row in _rows(folder / f"calls-{sensor}"):
            _, began, took, said = row.split(maxsplit=3)
            calls.append((float(began), float(took), said[0].isdigit()))
    made = {
        record: float(at)
        for sensor in CUT_OFF
        for at, record in (row.split() for row in _rows(folder / f"made-{sensor}"))
        if float(at) < times.end - 10.0
    }
    applied = [(float(at), record) for at, record in (row.split() for row in _rows(folder / "applied"))]
    return Side(name, times, calls, made, [(at, record) for at, record in applied if record in made])


def _rows(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _chaos(count: int) -> dict[str, object]:
    """What the seeded runs of faults found."""
    command = [sys.executable, "-m", "tests.chaos.run", "--count", str(count), "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    try:
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise FabricError(f"the fault suite ended with {done.returncode}", "see what it said") from None
    return found


def result(sides: Sequence[Side], chaos: Mapping[str, object], cut: float) -> Result:
    """The figures, against the bars."""
    ours = sides[0]
    slower = _slower(ours)
    whole = float(np.mean(ours.answered()))
    seeds = chaos["runs"], chaos.get("lost", 0), chaos.get("applied twice", 0), len(chaos["failed"])  # type: ignore[arg-type]
    met = whole >= 0.999 and ours.lost() == ours.twice() == 0 and slower is not None and slower.value <= SLOWER
    figures = [figure for side in sides for figure in _figures(side)]
    figures += [
        _exact("seeded runs of faults", seeds[0], "runs"),
        _exact("seeded runs: records acknowledged", chaos.get("acknowledged", 0), "records"),
        _exact("seeded runs: records lost", seeds[1], "records"),
        _exact("seeded runs: records applied twice", seeds[2], "records"),
        _exact("seeded runs: histories that were wrong in anything", seeds[3], "runs"),
    ]
    return Result(
        id="E1",
        title="A site without its uplink: local answers, and what becomes of records",
        command="python -m benchmarks E1",
        commit=commit(),
        machine=machine(),
        date=today(),
        repeats=WINDOWS,
        seeds=tuple(range(1, int(str(seeds[0])) + 1)),
        baseline=f"{PLAIN} (its defaults), and {RETRIES} (max_restarts and max_task_retries without end)",
        figures=tuple(figures),
        bar="100 % of local calls answered in the cut, 0 records lost, 0 applied twice, also over 200 seeded runs; "
        "p99 in the cut <= 1.2x that of before",
        met=met and seeds[1:] == (0, 0, 0) and int(str(seeds[0])) >= SEEDS,
        notes=(
            f"clusters/campus.yaml; {LINK} carries nothing for {cut:g} s. Each of its {len(CUT_OFF)} sensors scores a "
            f"batch every {PERIOD:g} s, asks the edge of its building, and has a record for the cloud; so do those of "
            "the other building, which are not counted.",
            "A call that was due and not made, because its sensor was gone, counts as not answered.",
            f"Intervals are over {WINDOWS} equal windows of the time connected and of the cut.",
            "Plain Ray sends a record as an actor call that nobody waits for; tierflow puts it into the sensor's "
            "durable outbox. The sides ran one after the other on the same hosts and links.",
            f"Seeded runs: python -m tests.chaos.run --count {seeds[0]} --seed 1; faults {chaos['faults']}.",
        ),
    )


def _figures(side: Side) -> Iterator[Figure]:
    shares = side.answered()
    mean = float(np.mean(shares))
    yield Figure(
        name=f"{side.name}: local calls answered in the cut",
        value=100 * mean,
        low=100 * min(shares),
        high=100 * max(shares),
        unit="%",
    )
    times = side.times
    yield _exact(f"{side.name}: local calls answered after the heal", 100 * side.share(times.healed, times.end), "%")
    for cut, when in ((False, "connected"), (True, "in the cut")):
        if p99 := side.p99(cut):
            yield Figure.of(f"{side.name}: p99 of a local call, {when}", interval(p99).scaled(1e3), "ms")
    if (slower := _slower(side)) is not None:
        yield Figure.of(f"{side.name}: p99 in the cut over connected", slower, "x")
    yield _exact(f"{side.name}: records made", len(side.made), "records")
    yield _exact(f"{side.name}: records lost", side.lost(), "records")
    yield _exact(f"{side.name}: records applied twice", side.twice(), "records")
    for share in (0.25, 0.5, 0.75, 1.0):
        at = times.cut + share * (times.healed - times.cut)
        yield _exact(f"{side.name}: backlog {at - times.cut:.0f} s into the cut", side.backlog(at), "records")
    for later in (2.0, 5.0, 10.0, 30.0):
        yield _exact(f"{side.name}: backlog {later:g} s after the heal", side.backlog(times.healed + later), "records")
    yield _exact(f"{side.name}: until no record was late any more", side.drained(), "s")


def _slower(side: Side) -> Interval | None:
    """The p99 of windows in the cut over that of windows before it, each with each."""
    before, during = side.p99(cut=False), side.p99(cut=True)
    if not before or not during:
        return None
    middle = float(np.median(before))
    return interval([p99 / middle for p99 in during])


def _exact(name: str, value: object, unit: str) -> Figure:
    number = float(str(value))
    return Figure(name=name, value=number, low=number, high=number, unit=unit)
