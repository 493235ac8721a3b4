"""The fabric's own actors: one of each name, held to its node, alive until the fabric is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray

from tierflow.runtime.sharing import NAMESPACE
from tierflow.topology import NODE

__all__ = ["Own", "agent_name", "agent_of", "find", "own", "serves_all", "start_when_needed"]

LOOK = 1.0
"""Seconds between two looks, and between two tries to start."""
PATIENCE = 30.0
"""Seconds that an actor has to say where it is."""


class Own:
    """What each of them is: it serves everybody, so nothing that has a label is opened in its process."""


def serves_all() -> bool:
    """Whether this process is one of them."""
    actors: dict[Any, Any] = ray._private.worker.global_worker.actors
    return any(isinstance(actor, Own) for actor in actors.values())


def own(kind: type[Own], name: str, node: str, **options: Any) -> Any:
    """What makes the actor of that name on that node, or finds it: call ``remote`` of it. `options` are Ray's."""
    return ray.remote(kind).options(
        name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, num_cpus=0, max_restarts=-1,
        label_selector={NODE: node}, **options,
    )  # fmt: skip


def find(name: str) -> tuple[Any, str]:
    """The actor of that name and the node that it is on, as its method `node` says.

    Raises:
        ValueError: nobody has made it yet.
        ray.exceptions.RayError: it does not answer.
    """
    actor: Any = ray.get_actor(name, namespace=NAMESPACE)
    return actor, str(ray.get(actor.node.remote(), timeout=PATIENCE))


def agent_name(node: str) -> str:
    """What the agent of a node is called."""
    return f"agent/{node}"


def agent_of(node: str) -> Any:
    """The agent of a node. Raises `ValueError` where it has none (yet)."""
    return ray.get_actor(agent_name(node), namespace=NAMESPACE)


def start_when_needed(role: str, kind: type[Own], node: str, folder: Path, needed: Callable[[Path], object]) -> None:
    """Start the actor ``role/node``, beside the node's agent, once `needed(folder)` is true; returns at once.

    `kind` takes the node's name and its folder, and its method `at_work` says what it works at.
    """

    def wait() -> None:
        while not needed(folder):
            time.sleep(LOOK)
        made = own(kind, f"{role}/{node}", node)
        while True:
            with suppress(ray.exceptions.RayError, RuntimeError):
                ray.get(made.remote(node, str(folder)).at_work.remote())
                return
            time.sleep(LOOK)

    threading.Thread(target=wait, name=f"tierflow-{role}", daemon=True).start()
