"""The inside of E1: starts the sensors, edges and the cloud of the campus, and leaves them running.

``python -m benchmarks.cut_driver SIDE FOLDER``, where SIDE is one of `SIDES`.
"""

from __future__ import annotations

import sys
from typing import Any

import ray

import tierflow
from benchmarks.cut_actors import Collector, Reviewer, Sensor, Watcher
from benchmarks.driven import answer, join, tell
from tierflow.topology import NODE

__all__ = ["EDGES", "HEAD", "OURS", "PLAIN", "RETRIES", "SENSORS", "SIDES"]

OURS, PLAIN, RETRIES = SIDES = ("tierflow", "plain Ray", "Ray with retries")
HEAD = "cloud-1"
EDGES = ("gw-a", "gw-b")
SENSORS = tuple(f"sensor-{building}{number}" for building in "ab" for number in (1, 2, 3))


def start(side: str, folder: str) -> list[str]:
    """Start them all; the actors' names."""
    again = {} if side == PLAIN else {"max_restarts": -1}
    if side == RETRIES:
        again["max_task_retries"] = -1

    def place(kind: type, node: str, *arguments: object, **options: Any) -> Any:
        kept = {"name": node, "namespace": "cut", "lifetime": "detached", "num_cpus": 0, **again, **options}
        if side == OURS:
            made: Any = tierflow.actor(node=node)(kind)
            return made.options(**kept).remote(*arguments)
        return ray.remote(kind).options(label_selector={NODE: node}, **kept).remote(*arguments)

    cloud = place(Watcher if side == OURS else Collector, HEAD, folder)
    edges = {name[-1]: place(Reviewer, name) for name in EDGES}
    tell("the cloud and the edges are asked for")
    sensors = [place(Sensor, name, name, folder, edges[name[7]], cloud, side == OURS) for name in SENSORS]
    for name, sensor in zip(SENSORS, sensors, strict=True):
        ray.get(sensor.ready.remote())
        tell(f"{name} runs")
    return [HEAD, *EDGES, *SENSORS]


def main(side: str, folder: str) -> None:
    """See the module."""
    if side == OURS:
        join()
    else:
        ray.init(address="auto", log_to_driver=False)
    answer(start(side, folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
