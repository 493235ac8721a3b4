"""The inside of E2's idle half: who the fabric's own actors are, and their end.

python -m benchmarks.idle_driver list
python -m benchmarks.idle_driver end
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import ray
from ray.util import list_named_actors

from benchmarks.driven import answer, join

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


def main(what: str) -> None:
    """List them or end them."""
    join()
    answer(processes() if what == "list" else end())


if __name__ == "__main__":
    main(sys.argv[1])
