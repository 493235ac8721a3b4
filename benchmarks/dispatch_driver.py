"""The inside of C3: run as a driver on a host of the fabric, prints one JSON object.

Both sides start the same function on the same node by the same label; plain Ray's remote functions are made once, which
is its fastest way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import ray

import tierflow
from benchmarks.driven import answer, tell
from benchmarks.measure import in_turn
from tierflow.topology import TIER

LABEL = {TIER: "cloud"}
STEPS = 10
NOISE = "tasks, in flight, A against A"
"""The row whose two sides are the same."""


def add_one(value: int) -> int:
    """Next to no work, so that what is measured is the call."""
    return value + 1


class Counter:
    """An actor with next to no work."""

    def add_one(self, value: int) -> int:
        """Next to no work."""
        return value + 1


plain_task = ray.remote(label_selector=LABEL)(add_one)
plain_again = ray.remote(label_selector=LABEL)(add_one)
plain_anywhere = ray.remote(add_one)
our_task = tierflow.task(tier="cloud")(add_one)
our_anywhere = tierflow.task(add_one)
Work = Callable[[], object]


def by_hand(value: int) -> int:
    """A chain of ``STEPS`` calls as a careful user would write it in plain Ray: one task."""
    for _ in range(STEPS):
        value = add_one(value)
    return value


composed = ray.remote(label_selector=LABEL)(by_hand)


def one_by_one(start: Any, calls: int) -> Work:
    """Each call waits for the one before."""
    return lambda: [ray.get(start(index)) for index in range(calls)]


def in_flight(start: Any, calls: int) -> Work:
    """All calls at once."""
    return lambda: ray.get([start(index) for index in range(calls)])


def chained(start: Any, calls: int) -> Work:
    """Each call takes the reference of the one before."""

    def run() -> object:
        reference = start(0)
        for _ in range(calls - 1):
            reference = start(reference)
        return ray.get(reference)

    return run


def flow(task: Any, chains: int) -> Work:
    """Chains of ``STEPS`` calls made with ``.bind()``, made and executed one after the other."""

    def run() -> object:
        last: object = None
        for _ in range(chains):
            node = task.bind(0)
            for _ in range(STEPS - 1):
                node = task.bind(node)
            last = ray.get(node.execute())
        return last

    return run


def main(repeats: int, calls: int) -> None:
    """Measure each shape of load in turn."""
    ray.init(address="auto", log_to_driver=False)
    ours: Any = tierflow.actor(tier="cloud", num_cpus=0)(Counter).remote()
    plain: Any = ray.remote(num_cpus=0, label_selector=LABEL)(Counter).remote()
    few, chains = calls // 5, max(1, calls // 100)
    shapes: dict[str, tuple[int, Work, Work]] = {
        "tasks, one by one": (few, one_by_one(our_task.remote, few), one_by_one(plain_task.remote, few)),
        "tasks, in flight": (calls, in_flight(our_task.remote, calls), in_flight(plain_task.remote, calls)),
        NOISE: (calls, in_flight(plain_again.remote, calls), in_flight(plain_task.remote, calls)),
        "tasks that name no place, one by one": (
            few,
            one_by_one(our_anywhere.remote, few),
            one_by_one(plain_anywhere.remote, few),
        ),
        "tasks that name no place, in flight": (
            calls,
            in_flight(our_anywhere.remote, calls),
            in_flight(plain_anywhere.remote, calls),
        ),
        "chain of references": (few, chained(our_task.remote, few), chained(plain_task.remote, few)),
        "chain made with bind": (chains * STEPS, flow(our_task, chains), flow(plain_task, chains)),
        "chain with bind, against one task composed by hand": (
            chains * STEPS,
            flow(our_task, chains),
            one_by_one(composed.remote, chains),
        ),
        "actor calls, one by one": (few, one_by_one(ours.add_one.remote, few), one_by_one(plain.add_one.remote, few)),
        "actor calls, in flight": (
            calls,
            in_flight(ours.add_one.remote, calls),
            in_flight(plain.add_one.remote, calls),
        ),
    }
    found = {}
    for name, (count, mine, theirs) in shapes.items():
        pairs = in_turn(mine, theirs, repeats)
        found[name] = {"calls": count, "ours": pairs.ours, "theirs": pairs.theirs}
        tell(name)
    answer(found)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
