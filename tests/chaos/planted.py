"""Bugs on purpose: a suite that does not find these finds nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from tierflow.runtime.durable import database, inbox

__all__ = ["BUGS"]


def _before_the_disk(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA synchronous=OFF")


@contextmanager
def acknowledged_before_fsync() -> Iterator[None]:
    """A put returns when the record is in the page cache: it outlives the process, and not the power."""
    with patch.object(database, "sync_every_commit", _before_the_disk):
        yield


@contextmanager
def key_forgotten() -> Iterator[None]:
    """The receiver compares with the last number of a sender, of whatever key: what was overtaken is taken for old."""
    real = inbox._Marks.get

    def get(marks: inbox._Marks, of: tuple[str, str], key: str | None) -> int | None:
        return real(marks, of, key) if key is None else marks.high(of) or None

    with patch.object(inbox._Marks, "get", get):
        yield


@contextmanager
def mark_forgotten() -> Iterator[None]:
    """The receiver takes whatever is above the floor: a batch that comes again is applied again."""
    with patch.object(inbox, "is_new", lambda seq, floor, mark: seq > floor):
        yield


BUGS: dict[str, tuple[Callable[[], object], set[str]]] = {
    "an acknowledgement before the fsync": (acknowledged_before_fsync, {"lost"}),
    "a key forgotten in the receiver's check": (key_forgotten, {"lost"}),
    "a mark forgotten in the receiver's check": (mark_forgotten, {"twice"}),
}
"""By name: what plants it, and what the checker is to say of it."""
