"""What happened in a run, event by event, as the processes that took part told it.

Each event is a line of JSON that a process writes into a pipe with one call, so that it is told whole or not at all,
and is not lost with the process. Times are seconds of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeAlias

__all__ = [
    "Answered",
    "Applied",
    "Called",
    "Event",
    "Followed",
    "History",
    "Kept",
    "Left",
    "Published",
    "Refused",
    "Tried",
    "read",
    "tell",
]


@dataclass(frozen=True, slots=True)
class Tried:
    """A writer is about to put a record: what follows of it may or may not have happened until it says so."""

    at: float
    id: str
    node: str
    key: str
    priority: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The put returned: the record is acknowledged."""

    at: float
    id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The put ended in an error; the record may be there all the same where a disk failed as it was to confirm it."""

    at: float
    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Applied:
    """At the end, the receiver holds this record, and this is its place in the order in which they were applied."""

    number: int
    id: str


@dataclass(frozen=True, slots=True)
class Left:
    """At the end, an outbox still holds so many records; it dropped so many, and found so many that were damaged."""

    node: str
    records: int
    dropped: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """The publisher was told that a version is kept."""

    at: float
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class Followed:
    """A follower has this version now; `digest` says of what."""

    at: float
    node: str
    name: str
    version: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Called:
    """A call is made; `must` is true where no fault of the plan may keep it from being answered."""

    at: float
    id: str
    must: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A call ended, in its value (`error` is empty) or in an error by this name."""

    at: float
    id: str
    error: str = ""


Event: TypeAlias = Tried | Kept | Refused | Applied | Left | Published | Followed | Called | Answered
History: TypeAlias = list[Event]

_KINDS = {kind.__name__: kind for kind in (Tried, Kept, Refused, Applied, Left, Published, Followed, Called, Answered)}


def tell(descriptor: int, event: Event) -> None:
    """Write one event; below 4096 bytes a pipe takes it whole."""
    os.write(descriptor, line(event))


def line(event: Event) -> bytes:
    """An event as a line."""
    return (json.dumps([type(event).__name__, *asdict(event).values()]) + "\n").encode()


def read(text: str) -> History:
    """The events of whole lines; one that is torn at the end was not told."""
    return [_event(json.loads(row)) for row in text.splitlines(keepends=True) if row.endswith("\n")]


def save(path: Path, history: History) -> None:
    """Keep a history, to look at it after a failure."""
    path.write_bytes(b"".join(map(line, history)))


def now() -> float:
    """The clock of histories."""
    return time.monotonic()


def _event(row: list[object]) -> Event:
    kind = _KINDS[str(row[0])]
    return kind(**dict(zip((field.name for field in fields(kind)), row[1:], strict=True)))  # type: ignore[arg-type]
