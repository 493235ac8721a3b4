"""The inside of E2's idle half: who the fabric's own actors are, their end, and actors that do nothing.

``python -m benchmarks.idle_driver list``, ``end`` or ``empty``.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import ray
from ray.util import list_named_actors

import tierflow
from benchmarks.driven import answer, join
from tierflow.topology import NODE

SPACE, REGISTRY = "tierflow", "registry"


def own() -> list[str]:
    """The names of the fabric's own actors, the registry first: it would start an agent that ends before it again."""
    names = [row["name"] for row in list_named_actors(all_namespaces=True) if row["namespace"] == SPACE]
    return sorted(names, key=lambda name: (name != REGISTRY, name))


def processes() -> dict[str, int]:
    """The process of each of them."""
    found: dict[str, int] = {}
    for row in ray._private.state.actors().values():
        if row["State"] == "ALIVE" and row["Name"] in own():
            found[row["Name"]] = int(row["Pid"])
    return found


def end() -> list[str]:
    """End them all and say which."""
    names = own()
    for name in names:
        with suppress(ValueError):
            actor: Any = ray.get_actor(name, namespace=SPACE)
            ray.kill(actor, no_restart=True)
    return names


class Empty:
    """An actor that does nothing at all."""

    def ready(self) -> None:
        """Return once it runs."""


def empty() -> list[str]:
    """Start one on each node, and say where."""
    made: Any = ray.remote(Empty)
    nodes = [node.name for node in tierflow.nodes()]
    actors = [
        made.options(name=f"empty/{name}", lifetime="detached", num_cpus=0, label_selector={NODE: name}).remote()
        for name in nodes
    ]
    ray.get([actor.ready.remote() for actor in actors])
    return nodes


def main(what: str) -> None:
    """Do one of the three."""
    if what == "list":
        join()
        answer(processes())
    else:
        tierflow.init(log_to_driver=False)
        answer(end() if what == "end" else empty())


if __name__ == "__main__":
    main(sys.argv[1])
