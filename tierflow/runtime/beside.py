"""Actors beside a node's agent, each started as soon as the node has something for it to do."""

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

__all__ = ["start_when_needed"]

LOOK = 1.0
"""Seconds between two looks, and between two tries to start."""


def start_when_needed(role: str, kind: type, node: str, folder: Path, needed: Callable[[Path], object]) -> None:
    """Start the actor ``role/node`` once `needed(folder)` is true; returns at once.

    `kind` takes the node's name and its folder, and its method `at_work` says what it works at.
    """

    def wait() -> None:
        while not needed(folder):
            time.sleep(LOOK)
        made: Any = ray.remote(kind).options(
            name=f"{role}/{node}", namespace=NAMESPACE, lifetime="detached", get_if_exists=True, num_cpus=0,
            max_restarts=-1, label_selector={NODE: node},
        )  # fmt: skip
        while True:
            with suppress(ray.exceptions.RayError, RuntimeError):
                ray.get(made.remote(node, str(folder)).at_work.remote())
                return
            time.sleep(LOOK)

    threading.Thread(target=wait, name=f"tierflow-{role}", daemon=True).start()
