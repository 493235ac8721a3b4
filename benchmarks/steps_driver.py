"""The inside of D2's step: a driver on the device calls without end while the uplink steps down and up again.

``python -m benchmarks.steps_driver TIMES PATIENCE``
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import tierflow
from benchmarks.driven import answer, join, tell
from benchmarks.placement_driver import START, place, timed
from benchmarks.shapes import SHAPES
from benchmarks.uplink import CONDITIONS, Uplink
from tierflow.rig import LinkControl

FAST = CONDITIONS[0]
SLOW = Uplink("2 Mbit/s, 5 ms", CONDITIONS[-1].rate, FAST.delay)
"""The step is one of bandwidth alone."""
CLOUD = "cloud"
SHAPE, COUNT = SHAPES["detect"], 3
"""A function whose best place is the cloud over the fast uplink and not over the slow one: 614 kB of frames."""
SETTLED = 5
"""Calls in a row to one place after which the stream has settled there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One call of the stream: when it was made and when its result was there (s), and its tier."""

    made: float
    ended: float
    tier: str


class Stream:
    """Calls one after the other, placed by the fabric."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(1)
        self._task: Any = tierflow.task(SHAPE.function)

    def call(self) -> Seen:
        """One call."""
        seconds, reference = timed(self._task.remote, SHAPE, COUNT, self._rng)
        ended = time.monotonic()
        return Seen(ended - seconds, ended, place(reference))

    def until(self, done: Callable[[list[Seen]], bool], patience: float) -> list[Seen]:
        """Calls until `done` says so of all of them, or until patience (s) ends."""
        calls: list[Seen] = []
        end = time.monotonic() + patience
        while time.monotonic() < end:
            calls.append(self.call())
            if done(calls):
                break
        return calls


def settled(calls: Sequence[Seen], *, cloud: bool) -> bool:
    """Whether the last calls all went to the cloud, or none of them did."""
    return len(calls) >= SETTLED and all((seen.tier == CLOUD) is cloud for seen in calls[-SETTLED:])


def warm_up(rng: np.random.Generator) -> None:
    """Let the function be known on every tier, over the fast uplink."""
    for tier in ("device", "edge", "cloud"):
        task: Any = tierflow.task(tier=tier)(SHAPE.function)
        data = [tierflow.put(SHAPE.input(rng, COUNT)) for _ in range(START)]
        tierflow.get([task.remote(item) for item in data], timeout=300.0)
        for _ in range(3):
            timed(task.remote, SHAPE, COUNT, rng)
        tell(f"{tier} is known")


def stepped(stream: Stream, control: LinkControl, patience: float) -> dict[str, Any]:
    """Let the stream settle on the cloud, then slow the uplink down, and speed it up again once the stream has left.

    `transfer` is how long (s) the first call took that was made after the step down and crossed the uplink, `away` the
    time from its end until the first call was made that was placed elsewhere, `crossed` how many went to the cloud
    before the stream had left it for good. `back` is the time from the step up until the first of the calls was made
    that settled on the cloud. None is what did not happen while patience lasted; `flaps` counts moves beyond the two.
    """
    before = stream.until(lambda calls: settled(calls, cloud=True), patience)
    SLOW.apply(control)
    slow = stream.until(lambda calls: settled(calls, cloud=False), patience)
    FAST.apply(control)
    began = time.monotonic()
    fast = stream.until(lambda calls: settled(calls, cloud=True), patience)
    crossed = next((at for at, seen in enumerate(slow) if seen.tier == CLOUD), None)
    left = None if crossed is None else next((seen for seen in slow[crossed:] if seen.tier != CLOUD), None)
    moves = sum((a.tier == CLOUD) is not (b.tier == CLOUD) for a, b in pairwise((*before[-1:], *slow, *fast)))
    return {
        "settled": settled(before, cloud=True),
        "transfer": None if crossed is None else slow[crossed].ended - slow[crossed].made,
        "away": None if crossed is None or left is None else left.made - slow[crossed].ended,
        "crossed": sum(seen.tier == CLOUD for seen in slow),
        "back": fast[-SETTLED].made - began if settled(fast, cloud=True) else None,
        "flaps": max(moves - 2, 0),
        "calls": len(slow) + len(fast),
    }


def main(times: int, patience: float) -> None:
    """Step down and up again, several times."""
    join()
    control = LinkControl(os.environ["TIERFLOW_RIG"])
    FAST.apply(control)
    warm_up(np.random.default_rng(2))
    stream, steps = Stream(), []
    for turn in range(times):
        steps.append(stepped(stream, control, patience))
        tell(f"step {turn + 1} of {times}: away after {steps[-1]['away']} s, back after {steps[-1]['back']} s")
    answer(steps)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
