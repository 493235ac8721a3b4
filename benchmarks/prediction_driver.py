"""The inside of D1: a driver on the device holds calls to each node in turn, and notes what the fabric predicted.

``python -m benchmarks.prediction_driver '["20 Mbit/s, 25 ms", ...]' '["cam-1", ...]' REPEATS WARM``
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np

import tierflow
from benchmarks.driven import answer, join, tell
from benchmarks.placement_driver import START, timed
from benchmarks.shapes import SHAPES
from benchmarks.uplink import Uplink, named
from tierflow.rig import LinkControl

HEARD = 5.0
"""Seconds that the word of a call's end may take to be in its explanation."""


def explained(reference: Any) -> tuple[float, float, str]:
    """What was predicted before the call, what the fabric saw of it (s), and the node it ran on."""
    end = time.monotonic() + HEARD
    while (told := tierflow.explain(reference)).observed is None and time.monotonic() < end:
        time.sleep(0.01)
    predicted = float("nan") if told.predicted is None else told.predicted
    seen = told.observed
    return predicted, float("nan") if seen is None else seen.total, told.node if seen is None else seen.node


def rounds(tasks: dict[Any, Any], uplink: Uplink, count: int, warm: int, rng: np.random.Generator) -> list[Any]:
    """Every cell once in each round, in a new order; of the rounds before the first that counts, `counts` is false."""
    found = []
    for turn in range(-warm, count):
        for at in rng.permutation(len(tasks)):
            (name, size, node), task = list(tasks.items())[at]
            seconds, reference = timed(task.remote, SHAPES[name], size, rng)
            predicted, seen, ran = explained(reference)
            found.append(
                {
                    "counts": turn >= 0,
                    "function": name,
                    "size": size,
                    "node": node,
                    "condition": uplink.name,
                    "seconds": seconds,
                    "seen": seen,
                    "predicted": predicted,
                    "ran": ran,
                }
            )
        tell(f"{uplink.name}: round {turn + 1} of {count}")
    return found


def main(conditions: list[str], nodes: list[str], repeats: int, warm: int) -> None:
    """All functions, sizes and nodes under every condition."""
    join()
    control = LinkControl(os.environ["TIERFLOW_RIG"])
    rng = np.random.default_rng(0)
    held = {(name, node): tierflow.task(node=node)(shape.function) for name, shape in SHAPES.items() for node in nodes}
    for (name, node), task in held.items():
        data = [tierflow.put(SHAPES[name].input(rng, SHAPES[name].placed)) for _ in range(START)]
        tierflow.get([task.remote(item) for item in data], timeout=300.0)
        tell(f"workers of {node} are ready for {name}")
    tasks = {(name, size, node): held[name, node] for name, node in held for size in SHAPES[name].sizes}
    calls: list[Any] = []
    for condition in conditions:
        uplink = named(condition)
        uplink.apply(control)
        calls += rounds(tasks, uplink, repeats, warm, rng)
    answer(calls)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
