"""The members of the fabric as one process knows them: read from Ray's GCS, kept for a second, never waited for twice.

The GCS is on the head, which may be on the far side of a cut. So once there is a first reading, a caller gets the last
one known, and reading goes on beside it: work on the near side of a cut does not stop to ask who is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.state import available_resources_per_node

from tierflow.errors import FabricError
from tierflow.topology import NODE, SITE, TIER, Member

__all__ = ["Membership", "Snapshot", "every_member", "one_of_each", "read_members"]

MAX_AGE = 1.0
"""Seconds that a reading is good for."""
PATIENCE = 0.25
"""Seconds that a call waits for a new reading where it has an old one: some round trips of a slow link."""
FIRST = 30.0
"""Seconds that a call waits for the first reading, or for one that decides about an error."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The members at one time. `version` changes when they do; `until` (monotonic seconds) is when to look again."""

    members: tuple[Member, ...]
    version: int
    until: float


class Membership:
    """The last known members, read again by a thread of its own when a caller finds them old.

    `read` gives the members now and may block; `clock` is monotonic seconds.
    """

    def __init__(self, read: Callable[[], tuple[Member, ...]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._lock = threading.Lock()
        self._known: Snapshot | None = None
        self._version = 0
        self._reading: _Reading | None = None

    def latest(self) -> Snapshot:
        """The members not much older than a second; older where the GCS does not answer.

        Raises:
            FabricError: there was never an answer.
        """
        known = self._known
        if known is None:
            return self.fresh()
        if self._clock() < known.until:
            return known
        if self._reading is None:
            self._begin().done.wait(PATIENCE)
        return self._known or known

    def fresh(self, patience: float = FIRST) -> Snapshot:
        """The members as read after this call began; the last known ones where `patience` seconds bring no answer.

        Raises:
            FabricError: there was never an answer.
        """
        reading = self._begin()
        reading.done.wait(patience)
        if self._known is None:
            raise FabricError(
                f"the fabric does not say who its members are ({reading.problem or 'no answer'})",
                "see `tierflow status`, and whether this machine reaches the head",
            )
        return self._known

    def forget(self) -> None:
        """Know nothing again: this process has left the fabric or joined another."""
        with self._lock:
            self._known = self._reading = None
            self._version += 1

    def _begin(self) -> _Reading:
        with self._lock:
            if self._reading is None:
                self._reading = _Reading(threading.Event())
                threading.Thread(target=self._take, args=(self._reading,), name="tierflow-members", daemon=True).start()
            return self._reading

    def _take(self, reading: _Reading) -> None:
        members: tuple[Member, ...] | None = None
        try:
            members = self._read()
        except (RuntimeError, OSError, ray.exceptions.RayError) as error:
            reading.problem = str(error)
        with self._lock:
            if self._reading is reading:
                self._reading = None
                if members is not None:
                    if self._known is not None and self._known.members != members:
                        self._version += 1
                    self._known = Snapshot(members, self._version, self._clock() + MAX_AGE)
        reading.done.set()


@dataclass(slots=True)
class _Reading:
    done: threading.Event
    problem: str = ""


def read_members(*, available: bool = False) -> tuple[Member, ...]:
    """Every node that Ray's GCS knows, by name; `available` asks for the free resources too, a second question.

    Of a node that died and came back only the living one is listed, of one that died several times the last.
    """
    return one_of_each(every_member(available=available))


def one_of_each(members: Sequence[Member]) -> tuple[Member, ...]:
    """Of the members of each name one, a living one if there is any; by name."""
    found = {member.name: member for member in sorted(members, key=lambda member: member.alive)}
    return tuple(found[name] for name in sorted(found))


def every_member(*, available: bool = False) -> list[Member]:
    """Every node that Ray's GCS knows, also those that died, and several of one name; see `read_members`."""
    rows: list[Mapping[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    free: Mapping[str, Mapping[str, float]] = available_resources_per_node() if available else {}  # type: ignore[no-untyped-call]
    return [_member(row, free.get(row["NodeID"], {})) for row in rows]


def _member(row: Mapping[str, Any], free: Mapping[str, float]) -> Member:
    labels = row["Labels"] or {}
    return Member(
        name=labels.get(NODE) or f"{row['NodeManagerHostname']}-{row['NodeID'][:6]}",
        tier=labels.get(TIER, ""),
        site=labels.get(SITE, ""),
        alive=bool(row["Alive"]),
        resources=row["Resources"],
        available=free,
        labels=labels,
        ray_id=row["NodeID"],
        address=row["NodeManagerAddress"],
        port=int(row["NodeManagerPort"]),
    )
