"""What was refused elsewhere is told the node that the value is of, if that can be reached: for its audit log."""

from __future__ import annotations

import atexit
import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import ray

from tierflow.runtime.beside import agent_of
from tierflow.runtime.hook import quiet

__all__ = ["tell"]

AT_EXIT = 2.0
"""Seconds that a process that ends waits until it has told."""
MOST = 256
"""Refusals that wait to be told; those beyond are in this node's own log only."""

_waiting: queue.Queue[tuple[str, Mapping[str, Any]]] = queue.Queue(MOST)
_lock = threading.Lock()
_teller: list[threading.Thread] = []


def tell(node: str, entry: Mapping[str, Any]) -> None:
    """Tell a node's agent of a refusal; returns at once."""
    if not ray.is_initialized():  # to look for an actor would start a cluster
        return
    with suppress(queue.Full):
        _waiting.put_nowait((node, entry))
    with _lock:
        if not _teller or not _teller[0].is_alive():
            _teller[:] = [threading.Thread(target=_run, name="tierflow-witness", daemon=True)]
            _teller[0].start()
            atexit.register(_teller[0].join, AT_EXIT)


def _run() -> None:
    with suppress(queue.Empty):
        while True:
            node, entry = _waiting.get_nowait()
            with suppress(Exception), quiet():  # Ray's own errors: a node that is cut off, or has no agent (yet)
                ray.get(agent_of(node).witness.remote(dict(entry)), timeout=AT_EXIT)
