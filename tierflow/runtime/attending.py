"""The gateway's process beside a node's supervisor: it runs while the node's folder says so, and comes back by itself.

It is no Ray actor: one that crashed inside a cut could not be started again before the heal.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tierflow.runtime.settings import NODE_FOLDER

__all__ = ["SPARING", "attend"]

log = logging.getLogger("tierflow.node")

SPARING: Mapping[str, str] = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "1000000",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""What a large record took goes back to the system at once (mallopt(3)); without it a gateway takes twice as much."""
LOOK = 0.5
"""Seconds between two looks at what the folder says."""
AGAIN, LONGEST = 0.5, 10.0
"""Seconds between an end and the next start: after the first, doubled each time, up to the longest."""
STEADY = 30.0
"""Seconds after which a gateway that ends starts again at the shortest delay."""


def attend(environment: Mapping[str, str], stopping: threading.Event) -> None:
    """Start the gateway, and start it again, in a thread of its own; returns at once."""
    threading.Thread(target=_run, args=(environment, stopping), name="tierflow-gateway", daemon=True).start()


def _run(environment: Mapping[str, str], stopping: threading.Event) -> None:
    folder = Path(environment[NODE_FOLDER])
    while not stopping.wait(LOOK):
        delay = AGAIN
        while (wanted := _wanted(folder)) is not None and not stopping.is_set():
            began = time.monotonic()
            argv = [sys.executable, "-m", "tierflow.runtime.gateway", str(folder)]
            with subprocess.Popen(argv, env={**environment, **SPARING}, stdin=subprocess.DEVNULL) as gateway:
                while gateway.poll() is None and not stopping.wait(LOOK) and _wanted(folder) == wanted:
                    pass
                if gateway.poll() is None:
                    _end(gateway)
                    continue
            delay = AGAIN if time.monotonic() - began > STEADY else min(2 * delay, LONGEST)
            log.warning("the gateway ended; it starts again in %g s", delay)
            stopping.wait(delay)


def _wanted(folder: Path) -> object:
    """What changes where another gateway is wanted: what it is told, and its certificate; None where none is."""
    try:
        told = (folder / "gateway" / "gateway.json").read_bytes()
    except OSError:
        return None
    certificate = folder / "node.pem"  # by their names here: supervisors stay small
    return told, certificate.stat().st_mtime_ns if certificate.exists() else 0


def _end(gateway: subprocess.Popen[bytes]) -> None:
    gateway.terminate()
    try:
        gateway.wait(5)
    except subprocess.TimeoutExpired:
        gateway.kill()
