"""What a node's supervisor runs beside its Ray: the residents' start in an island, and their comparison in the fabric.

See `runtime.residents`. Its environment names the node's folder and, as RAY_ADDRESS, the island or the fabric.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import ray

from tierflow.runtime.cache import write_whole
from tierflow.runtime.calls import connect
from tierflow.runtime.residents import ISLAND_FILE, Resident, residents
from tierflow.runtime.settings import NODE_FOLDER

__all__ = ["compare", "settle"]

SETTLED = 60.0
"""Seconds that residents may take to start before the island is opened without those that are not there yet."""

log = logging.getLogger("tierflow.node")


def settle() -> None:
    """In a new island: start every resident of this node, and say where the island is. The supervisor runs it."""
    folder, address = Path(os.environ[NODE_FOLDER]), os.environ["RAY_ADDRESS"]
    connect(address, log_to_driver=False)
    started = []
    for resident in residents(folder):
        sys.path[:0] = resident.code
        try:
            body, args, kwargs = pickle.loads(resident.pickled)
            started.append(ray.remote(body).options(**_options(resident)).remote(*args, **kwargs))
        except Exception:  # of whatever the user's modules do when they are imported; the others are to start
            log.exception("the resident %s cannot be started", resident.name)
    ready = [actor.__ray_ready__.remote() for actor in started]
    if ready:
        ray.wait(ready, num_returns=len(ready), timeout=SETTLED)
    write_whole(folder / ISLAND_FILE, address)
    log.info("an island with %d residents is at %s", len(started), address)


def _options(resident: Resident) -> dict[str, Any]:
    """Its options in an island: of its runtime environment only what needs no network."""
    given = (resident.options.get("runtime_env") or {}).get("env_vars") or {}
    path = os.pathsep.join([*resident.code, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {
        **resident.options,
        "name": resident.name,
        "namespace": resident.namespace,
        "runtime_env": {"env_vars": {**given, "PYTHONPATH": path}},
    }


def compare() -> None:
    """In the fabric again: forget the residents that it has no more, since somebody took them out."""
    folder = Path(os.environ[NODE_FOLDER])
    connect(log_to_driver=False)
    for resident in residents(folder):
        try:
            ray.get_actor(resident.name, namespace=resident.namespace)
        except ValueError:
            resident.file(folder).unlink(missing_ok=True)
