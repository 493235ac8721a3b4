"""Tables whose rows say by themselves whether they are whole."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tierflow.runtime.durable.carve import Value

__all__ = ["Damaged", "Table"]


class Damaged(Exception):
    """A store is not what was written to it; `Database` puts it aside and carries over what is whole."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of SQLite: an integer ``id``, columns of integers, text and bytes, and a digest over all of them.

    There is no index, not even for uniqueness: a wrong entry in one would hide a row that is whole.
    """

    name: str
    columns: tuple[str, ...]

    @property
    def create(self) -> str:
        """The statement that makes it where it is not there."""
        columns = ("id INTEGER PRIMARY KEY", *self.columns, "digest BLOB")
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({', '.join(columns)})"

    def insert(self, db: sqlite3.Connection, rows: Iterable[Sequence[Value]]) -> None:
        """Write rows (the id first); one that has the id of another takes its place."""
        places = ", ".join("?" * (len(self.columns) + 2))
        db.executemany(
            f"INSERT OR REPLACE INTO {self.name} VALUES ({places})",
            ((*row, self.digest(row)) for row in rows),
        )

    def select(self, db: sqlite3.Connection, where: str = "", given: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows without their digest, looked at one by one.

        Raises:
            Damaged: a row is not what was written.
        """
        for row in db.execute(f"SELECT * FROM {self.name} {where}", given):
            yield self.checked(row)

    def checked(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row without its digest. Raises `Damaged` where that is another."""
        if not self.holds(row):
            raise Damaged(f"row {row[0]} of {self.name} is not what was written")
        return row[:-1]

    def holds(self, row: Sequence[Value]) -> bool:
        """Whether this is a whole row of this table, with its digest."""
        return len(row) == len(self.columns) + 2 and row[-1] == self.digest(row[:-1])

    def digest(self, row: Sequence[Value]) -> bytes:
        """8 bytes over the table's name and the row."""
        made = hashlib.blake2b(self.name.encode(), digest_size=8)
        for value in row:
            data = value if isinstance(value, bytes) else repr(value).encode()
            made.update(b"%s%d:" % (b"b" if isinstance(value, bytes) else b"v", len(data)))
            made.update(data)
        return made.digest()
