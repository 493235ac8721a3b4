"""The inside of D2: a driver on the device that has the data. It changes the links itself and calls from every side.

``python -m benchmarks.placement_driver '["20 Mbit/s, 25 ms", ...]' REPEATS WARM``
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ray

import tierflow
from benchmarks.driven import answer, join, tell
from benchmarks.shapes import SHAPES, Shape
from benchmarks.uplink import Uplink, named
from tierflow.rig import LinkControl

TIERS = ("device", "edge", "cloud")
OURS, PLAIN = "tierflow", "plain Ray"
PATIENCE = 300.0
REST = 0.1
"""Seconds between an input's way into the store and the call, so that a weak device has done with it."""
START = 3
"""Calls to each tier in flight at once before anything is measured, so that workers are started and have torch."""

Start = Callable[[Any], Any]


def sides(shape: Shape) -> dict[str, Start]:
    """How each side starts a call of the function."""
    free: Any = tierflow.task(shape.function)
    held: dict[str, Any] = {tier: tierflow.task(tier=tier)(shape.function) for tier in TIERS}
    plain = ray.remote(shape.function)
    return {OURS: free.remote, **{tier: task.remote for tier, task in held.items()}, PLAIN: plain.remote}


def timed(start: Start, shape: Shape, count: int, rng: np.random.Generator) -> tuple[float, Any]:
    """Seconds from the call to its result, and the reference; the input is new and lies in the device's store."""
    data = tierflow.put(shape.input(rng, count))
    time.sleep(REST)
    began = time.perf_counter()
    reference = start(data)
    tierflow.get(reference, timeout=PATIENCE)
    return time.perf_counter() - began, reference


def place(reference: Any) -> str:
    """The tier of the node that a call of ours was placed on."""
    node = tierflow.explain(reference).node
    return next(member.tier for member in tierflow.nodes() if member.name == node)


def start_workers(rng: np.random.Generator) -> None:
    """Let every tier have its workers, with what the functions import."""
    for name, shape in SHAPES.items():
        for tier in TIERS:
            task: Any = tierflow.task(tier=tier)(shape.function)
            data = [tierflow.put(shape.input(rng, shape.placed)) for _ in range(START)]
            tierflow.get([task.remote(item) for item in data], timeout=PATIENCE)
            tell(f"workers of the {tier} are ready for {name}")


def cell(name: str, uplink: Uplink, repeats: int, warm: int, rng: np.random.Generator) -> dict[str, Any]:
    """All sides of one function in turn: rounds of one call each, in a new order every round."""
    shape = SHAPES[name]
    starts = sides(shape)
    found: dict[str, list[float]] = {side: [] for side in starts}
    chosen = []
    for turn in range(-warm, repeats):
        for side in rng.permutation(list(starts)):
            seconds, reference = timed(starts[side], shape, shape.placed, rng)
            if turn < 0:
                continue
            found[side].append(seconds)
            if side == OURS:
                chosen.append(place(reference))
        tell(f"{name} at {uplink.name}: round {turn + 1} of {repeats}")
    return {"function": name, "condition": uplink.name, "seconds": found, "chosen": chosen}


def main(conditions: list[str], repeats: int, warm: int) -> None:
    """Every function under every condition."""
    join()
    control = LinkControl(os.environ["TIERFLOW_RIG"])
    rng = np.random.default_rng(0)
    start_workers(rng)
    cells = []
    for condition in conditions:
        uplink = named(condition)
        uplink.apply(control)
        cells += [cell(name, uplink, repeats, warm, rng) for name in SHAPES]
    answer(cells)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
