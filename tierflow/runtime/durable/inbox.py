"""What arrived, on the receiver's disk: each record once, in one transaction with the mark that says so."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tierflow.control.once import is_new
from tierflow.errors import StoreError
from tierflow.runtime.durable import facts as about
from tierflow.runtime.durable.carve import Value
from tierflow.runtime.durable.database import Database, DiskFull
from tierflow.runtime.durable.facts import FACTS, Facts
from tierflow.runtime.durable.outbox import Record
from tierflow.runtime.durable.sealing import Seal
from tierflow.runtime.durable.table import Damaged, Table

__all__ = ["Answer", "Batch", "InboxStore", "Stored"]

T = TypeVar("T")

APPLIED = Table("applied", ("source", "birth", "seq", "key", "priority", "at", "size", "sealed", "value"))
MARKS = Table("marks", ("source", "birth", "key", "seq"))
FOLDS = Table("folds", ("name", "upto", "sealed", "state"))

Of = tuple[str, str]
"""Whose numbers: the sender's node and its store's birth id."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one store, in order. `floor` and `last` are its plan's."""

    source: str
    birth: str
    floor: int
    last: int | None
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """How many records of a batch were new and are applied, and how many were not.

    `rolled_back`: none was looked at, since later numbers of this birth are known here than its store has given.
    """

    applied: int
    repeated: int
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A record that was applied, as it is kept; `number` counts what was applied here, `at` is Unix time, to show."""

    number: int
    source: str
    seq: int
    key: str
    priority: int
    at: float
    value: bytes


class _Marks:
    """How far each key of each sender has come, all of it in memory: (row, number) by key, and a floor by sender."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self.rows: dict[Of, dict[str | None, tuple[int, int]]] = {}
        self.top = 0
        for number, source, birth, key, seq in rows:
            self.top = max(self.top, number)
            self.rows.setdefault((source, birth), {})[key] = (number, seq)

    def high(self, of: Of) -> int:
        return max((seq for _, seq in self.rows.get(of, {}).values()), default=0)

    def get(self, of: Of, key: str | None) -> int | None:
        return self.rows.get(of, {}).get(key, (0, None))[1]

    def move(self, of: Of, key: str | None, seq: int) -> tuple[Value, ...]:
        known = self.rows.setdefault(of, {})
        if key not in known:
            self.top += 1
        known[key] = (known.get(key, (self.top,))[0], seq)
        return (known[key][0], *of, key, seq)

    def forget(self, of: Of, floor: int) -> list[int]:
        """The rows of keys that have not come further than the floor; they are forgotten."""
        known = self.rows.get(of, {})
        old = [key for key, (_, seq) in known.items() if key is not None and seq <= floor]
        return [known.pop(key)[0] for key in old]


class InboxStore:
    """The store in `folder`; `key_file` seals what arrives from now on.

    Raises:
        StoreError: it cannot be opened, or its key is another.
    """

    def __init__(self, folder: Path, key_file: Path | None = None) -> None:
        self.name = folder.name
        self._seals: dict[str, Seal] = {}
        self._marks: tuple[tuple[str, int], _Marks] | None = None
        self._database = Database(folder, _Content())
        try:
            facts = self._run(about.read)
            facts.prove()
            if key_file is not None and not facts.key:
                self._run(lambda db: about.write(db, about.read(db).sealed_with(key_file)))
        except StoreError:
            self.close()
            raise

    @property
    def file(self) -> Path:
        """The file that is written now."""
        return self._database.file

    def take(self, batch: Batch) -> Answer:
        """Apply what is new of a batch; all of that is on the disk when this returns, and its marks too.

        Raises:
            StoreError: nothing was applied: the store cannot be written.
        """

        def apply(db: sqlite3.Connection) -> Answer:
            facts = about.read(db)
            marks, of = self._known(db, facts), (batch.source, batch.birth)
            if batch.last is not None and batch.last < marks.high(of):
                return Answer(0, 0, rolled_back=True)
            self._marks = None  # they are moved here, and hold only if this transaction does
            floor = marks.get(of, None) or 0
            number, size = facts.last, 0
            for record in batch.records:
                if is_new(record.seq, floor, marks.get(of, record.key)):
                    number += 1
                    size += len(record.value)
                    APPLIED.insert(db, [self._row(number, batch, record, facts)])
                    MARKS.insert(db, [marks.move(of, record.key, record.seq)])
            if batch.floor > floor:
                MARKS.insert(db, [marks.move(of, None, batch.floor)])
                db.executemany("DELETE FROM marks WHERE id = ?", [(row,) for row in marks.forget(of, batch.floor)])
            fresh = number - facts.last
            if fresh or batch.floor > floor:
                facts = replace(facts, last=number, records=facts.records + fresh, size=facts.size + size)
                about.write(db, facts)
                facts = about.read(db)
            moved.append(((str(self.file), facts.writes), marks))
            return Answer(fresh, len(batch.records) - fresh)

        moved: list[tuple[tuple[str, int], _Marks]] = []
        answer = self._run(apply)
        self._marks = moved[-1] if moved else self._marks
        return answer

    def read(self, after: int, limit: int) -> list[Stored]:
        """Up to `limit` records that were applied after the number `after`, in order. Raises `StoreError`."""
        return self._run(lambda db: list(self._after(db, after, limit)))

    def forget(self, upto: int) -> int:
        """Delete the records up to a number; how many that were. What was applied stays so. Raises `StoreError`."""

        def delete(db: sqlite3.Connection) -> int:
            facts = about.read(db)
            (size,) = db.execute("SELECT COALESCE(SUM(size), 0) FROM applied WHERE id <= ?", (upto,)).fetchone()
            count = db.execute("DELETE FROM applied WHERE id <= ?", (upto,)).rowcount
            about.write(db, replace(facts, records=facts.records - count, size=facts.size - size))
            return count

        return self._run(delete)

    def fold(self, name: str, function: Callable[[bytes | None, list[Stored]], bytes], limit: int) -> bytes | None:
        """Hand a function its last state and what was applied since; its new state is kept with how far it came.

        Both in one transaction: of whatever happens in between, a record has its part in the state once. The state
        is None before the first record.

        Raises:
            StoreError: the store cannot be written. The function's own errors pass, and change nothing.
        """

        def advance(db: sqlite3.Connection) -> bytes | None:
            facts = about.read(db)
            row = next(FOLDS.select(db, "WHERE name = ?", (name,)), None)
            upto, state = 0, None
            if row is not None:
                seal = self._seal(row[3], f"fold {name}")
                upto, state = row[2], row[4] if seal is None else seal.open(row[4], name)
            records = list(self._after(db, upto, limit))
            if not records:
                return state
            state = function(state, records)
            (top,) = db.execute("SELECT COALESCE(MAX(id), 0) FROM folds").fetchone()
            seal = self._seal(facts.key, f"fold {name}")
            kept = state if seal is None else seal.seal(state, name)
            FOLDS.insert(db, [(row[0] if row else top + 1, name, records[-1].number, facts.key, kept)])
            about.write(db, facts)
            return state

        return self._run(advance)

    def facts(self) -> Facts:
        """How much is in it, and how often it was repaired. Raises `StoreError`."""
        return self._run(about.read)

    def close(self) -> None:
        """Close it."""
        self._database.close()

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._database.run(work)
        except DiskFull as error:
            raise StoreError(
                f"the inbox {self.name!r} could not be written ({error})", "make room on the disk"
            ) from error

    def _known(self, db: sqlite3.Connection, facts: Facts) -> _Marks:
        """The marks; read again where somebody else has written since."""
        state = (str(self.file), facts.writes)
        if self._marks is None or self._marks[0] != state:
            self._marks = (state, _Marks(MARKS.select(db)))
        return self._marks[1]

    def _row(self, number: int, batch: Batch, record: Record, facts: Facts) -> tuple[Value, ...]:
        seal = self._seal(facts.key, batch.birth)
        words = (batch.source, record.seq, record.key)
        value = record.value if seal is None else seal.seal(record.value, *words)
        head = (number, batch.source, batch.birth, record.seq, record.key, record.priority, time.time_ns())
        return (*head, len(record.value), facts.key, value)

    def _after(self, db: sqlite3.Connection, after: int, limit: int) -> Iterable[Stored]:
        for row in APPLIED.select(db, "WHERE id > ? ORDER BY id LIMIT ?", (after, limit)):
            number, source, birth, seq, key, priority, at, _, sealed, value = row
            seal = self._seal(sealed, birth)
            opened = value if seal is None else seal.open(value, source, seq, key)
            yield Stored(number, source, seq, key, priority, at / 1e9, opened)

    def _seal(self, key_file: str, birth: str) -> Seal | None:
        if not key_file:
            return None
        if birth not in self._seals:
            self._seals[birth] = Seal(Path(key_file), birth)
        return self._seals[birth]


class _Content:
    """What the database needs to know of what arrived; see `database.Content`."""

    tables = (FACTS, APPLIED, MARKS, FOLDS)

    def begin(self, db: sqlite3.Connection) -> None:
        about.write(db, Facts())

    def check(self, db: sqlite3.Connection, logged: Iterable[tuple[Table, tuple[Value, ...]]]) -> None:
        facts = about.read(db)
        count, size = db.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM applied").fetchone()
        if (count, size) != (facts.records, facts.size):
            raise Damaged(f"{facts.records} records of {facts.size} bytes were written, {count} of {size} are there")
        for table, row in logged:
            late = table is APPLIED and int(str(row[0])) > facts.last
            if late or (table is FACTS and about.is_missing(facts, row)):
                raise Damaged("its log is damaged before its end")

    def carry(self, db: sqlite3.Connection, rows: Iterable[tuple[Table, tuple[Value, ...]]], reason: str) -> str:
        marks: dict[tuple[Value, ...], int] = {}
        folds: dict[Value, tuple[Value, ...]] = {}
        latest: Facts | None = None
        for table, row in rows:
            if table is FACTS:
                latest = about.later(latest, row)
            elif table is FOLDS:
                known = folds.get(row[1])
                folds[row[1]] = row if known is None or int(str(row[2])) > int(str(known[2])) else known
            else:
                if table is APPLIED:
                    APPLIED.insert(db, [row])
                    of: tuple[Value, ...] = (row[1], row[2], row[4])
                    seq = row[3]
                else:
                    of, seq = row[1:4], row[4]
                marks[of] = max(marks.get(of, 0), int(str(seq)))
        MARKS.insert(db, [(number, *of, seq) for number, (of, seq) in enumerate(marks.items(), 1)])
        FOLDS.insert(db, [(number, *row[1:]) for number, row in enumerate(folds.values(), 1)])
        return about.repaired(db, "applied", latest)
