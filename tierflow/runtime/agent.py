"""The node agent: what the fabric has on each node to look at that node and at the paths from it.

A plain class; the registry makes a Ray actor of it, one per node. It says nothing that was not asked for, but that
others keep the node's cores busy, so that an idle node sends nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import ray

from tierflow.runtime import probe
from tierflow.runtime.arrow import carry_arrow
from tierflow.runtime.audit import AuditLog
from tierflow.runtime.beside import Own, start_when_needed
from tierflow.runtime.boxes import followed, outboxes
from tierflow.runtime.following import Follower
from tierflow.runtime.hardware import Hardware, hardware
from tierflow.runtime.load import Load, Steps
from tierflow.runtime.scope import folder_here
from tierflow.runtime.sender import Sender
from tierflow.runtime.settings import NODE_FOLDER
from tierflow.runtime.speed import measured
from tierflow.topology.column import Value
from tierflow.trust import End

__all__ = ["Agent", "Facts"]

EVERY = 5.0
"""Seconds between two samples of the load."""

Tell = Callable[[str, Value], Any]
"""Takes a node's name and its busy share; gives a reference that fails where it was not heard, or None."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node is and how fast it computes (relative to a node of speed 1)."""

    hardware: Hardware
    speed: Value


class Agent(Own):
    """The agent of the node called `name`.

    With `tell` it watches the node's load from the start. Its methods are called one at a time, on purpose: a speed
    that is measured while a link is probed is wrong, and the probe too.
    """

    def __init__(self, name: str, tell: Tell | None = None) -> None:
        self.name = name
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        if tell is not None:
            self.watch(tell)
            if NODE_FOLDER in os.environ:
                folder = Path(os.environ[NODE_FOLDER])
                start_when_needed("outbox", Sender, name, folder, outboxes)
                start_when_needed("follow", Follower, name, folder, followed)

    def facts(self) -> Facts:
        """This node's hardware and speed; takes a minute on a weak node the first time, then a millisecond.

        Raises:
            FabricError: the speed is not known yet and cannot be measured.
        """
        found = hardware()
        known = measured(found)
        return Facts(replace(found, devices=known.devices), known.speed)

    def round_trip(self, address: str, port: int, times: int = 3) -> float | None:
        """Seconds to a port of a peer and back; None where it does not answer. See `probe.round_trip`."""
        return probe.round_trip(address, port, times)

    def make(self, size: int) -> list[Any]:
        """A reference (in a list, so that it is handed on and not fetched) to `size` random bytes in Arrow form.

        They are kept in this node's object store as long as the reference is.
        """
        carry_arrow(always=True)
        return [ray.put(probe.batch(size))]

    def take(self, refs: Sequence[Any]) -> tuple[int, float]:
        """Fetch what `make` made on another node: the bytes that came, and the seconds from asking to having them."""
        carry_arrow(always=True)
        began = perf_counter()
        value = ray.get(refs[0])
        return int(value.nbytes), perf_counter() - began

    def witness(self, entry: Mapping[str, Any]) -> None:
        """Write down in this node's audit log that one of its values was refused elsewhere."""
        folder = folder_here()
        if folder is not None:
            AuditLog(folder).add({**entry, "what": "refusal elsewhere"})

    def audit(self) -> tuple[Sequence[bytes], End]:
        """This node's audit log, see `AuditLog.settled`."""
        folder = folder_here()
        return ((), End()) if folder is None else AuditLog(folder).settled()

    def watch(self, tell: Tell, every: float = EVERY) -> None:
        """Look every so many seconds how busy others keep this node, and tell it when that has changed for good.

        A second call takes the place of the first.
        """
        self.rest()
        self._stop = threading.Event()
        self._watcher = threading.Thread(
            target=self._watch, args=(tell, every, self._stop), name="tierflow-load", daemon=True
        )
        self._watcher.start()

    def rest(self) -> None:
        """Watch no more."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None

    def _watch(self, tell: Tell, every: float, stop: threading.Event) -> None:
        load, steps = Load(), Steps()
        said: Any = None
        while not stop.wait(every):
            share = load.sample()
            if share is None:
                continue
            if said is not None and not _heard(said):
                steps = Steps()  # as far as the registry knows this node is as before: say it again
            said = None
            value = steps.take(share)
            if value is not None:
                said = tell(self.name, value)


def _heard(said: Any) -> bool:
    """Whether a message arrived; one that is still on its way is taken for one that will."""
    with suppress(ray.exceptions.GetTimeoutError):
        try:
            ray.get(said, timeout=0)
        except ray.exceptions.RayError:
            return False
    return True
