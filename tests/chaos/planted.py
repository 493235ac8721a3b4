"""Bugs on purpose: a suite that does not find these finds nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from unittest.mock import patch

from tests.chaos.processes import RECEIVER
from tierflow.runtime.durable import database, inbox, versions

__all__ = ["BUGS"]


@contextmanager
def unsynced(of_receiver: bool) -> Iterator[None]:
    """A commit returns when it is in the page cache: it outlives the process, and not the power."""
    real = database.sync_every_commit

    def before_the_disk(db: sqlite3.Connection) -> None:
        (file,) = (row[2] for row in db.execute("PRAGMA database_list"))
        if (f"/{RECEIVER}/" in file) == of_receiver:
            db.execute("PRAGMA synchronous=OFF")
        else:
            real(db)

    with patch.object(database, "sync_every_commit", before_the_disk):
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


@contextmanager
def compared_as_text() -> Iterator[None]:
    """Versions are compared as texts: "10" comes before "9"."""
    with patch.object(versions, "is_newer", lambda offered, held: held is None or str(offered) > str(held)):
        yield


BUGS: dict[str, tuple[Callable[[], AbstractContextManager[None]], set[str]]] = {
    "a put acknowledged before the fsync": (partial(unsynced, False), {"lost"}),
    "a batch acknowledged before the fsync": (partial(unsynced, True), {"lost"}),
    "a key forgotten in the receiver's check": (key_forgotten, {"lost"}),
    "a mark forgotten in the receiver's check": (mark_forgotten, {"twice"}),
    "a version compared wrong": (compared_as_text, {"back", "behind"}),
}
"""By name: what plants it, and what the checker is to say of it."""
