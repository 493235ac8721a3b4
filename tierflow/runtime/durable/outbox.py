"""The records of one outbox on disk: put in by any process of the node, taken out by the node's sender."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tierflow.control.outbox import Row
from tierflow.control.quota import WhenFull, victims
from tierflow.errors import OutboxFull, StoreError
from tierflow.runtime.durable import facts as about
from tierflow.runtime.durable.carve import Value
from tierflow.runtime.durable.database import Database, DiskFull
from tierflow.runtime.durable.facts import FACTS, Facts
from tierflow.runtime.durable.sealing import Seal
from tierflow.runtime.durable.table import Damaged, Table

__all__ = ["OVERHEAD", "Backlog", "OutboxStore", "Plan", "Record"]

T = TypeVar("T")

OVERHEAD = 128
"""Bytes that a record takes beside its key and its value."""
WINDOW = 4096
"""Records that a plan holds at the most."""
SPARE = 64
"""Where a drop has to look at all records, it makes room for one part in so many of the limit."""

REMEMBERED, FORGET = 65_536, 256
"""Names of records of which it is known that they were put, the latest; and how many more before some are forgotten."""

NAMES = Table("names", ("name", "content", "seq"))
RECORDS = Table("records", ("birth", "key", "priority", "at", "size", "sealed", "mark", "value"))
_HEAD = "id, birth, key, priority, at, size, sealed"
# Of a key an urgent record lifts those before it, so that the key's order is kept.
_IN_ORDER = f"""
    SELECT {_HEAD}, mark FROM
    (SELECT {_HEAD}, mark, MAX(priority) OVER (PARTITION BY key ORDER BY id DESC) AS urgency
     FROM records WHERE birth = ?)
    ORDER BY urgency DESC, id LIMIT {WINDOW}
"""
_BUT_THE_LATEST = "DELETE FROM names WHERE seq <= (SELECT seq FROM names ORDER BY seq DESC LIMIT 1 OFFSET ?)"


@dataclass(frozen=True, slots=True)
class Record:
    """A record with its value as bytes (`exchange.thaw` opens them)."""

    seq: int
    key: str
    priority: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """What waits under one birth id, in the order in which it is to go.

    `floor`: up to this number nothing is left to send. `last`: the last number that was given under this birth; None
    of one that is over.
    """

    birth: str
    floor: int
    last: int | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What an outbox holds.

    Attributes:
        records, size: how many records wait, and their bytes on the disk.
        age: seconds since the oldest was put, by the wall clock; for display only.
        dropped: how many records were dropped since the store was made, by the policy that did.
        lost: how many were not whole when a damaged store was repaired, as far as is known; repairs: how often.
    """

    records: int
    size: int
    age: float
    dropped: dict[str, int]
    lost: int
    repairs: int


class OutboxStore:
    """The store in `folder`. It may hold `limit` bytes of records; `key_file` seals what is put in from now on.

    Raises:
        StoreError: it cannot be opened, or its key is another.
    """

    def __init__(
        self, folder: Path, limit: int = 64_000_000, when_full: WhenFull = "oldest", key_file: Path | None = None
    ) -> None:
        self.name, self.limit, self.when_full = folder.name, limit, when_full
        self._seals: dict[str, Seal] = {}
        self._named = FORGET  # names since some were forgotten; nobody knows how many there were before
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

    def put(self, value: bytes, key: str, priority: int) -> int:
        """Keep a record; it is on the disk when its number is returned.

        Raises:
            OutboxFull: there is no room for it, or the disk took no more. (Where the disk failed while it was asked to
                confirm, the record may be there nevertheless.)
            StoreError: the store cannot be used.
        """
        return self._with_disk(value, key, lambda db: self._keep(db, value, key, priority))

    def put_once(self, value: bytes, name: str, priority: int) -> tuple[int, bool] | None:
        """Keep a record under a name that is its key too, once: its number, and whether it was put before.

        The name is noted in the transaction that keeps the record. None where it was put with another value. The
        latest `REMEMBERED` names are known.

        Raises:
            OutboxFull, StoreError: as `put`.
        """
        content = hashlib.blake2b(value, digest_size=32).digest()
        number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1

        def keep(db: sqlite3.Connection) -> tuple[int, bool] | None:
            for _, known, before, seq in NAMES.select(db, "WHERE id = ?", (number,)):
                return (seq, True) if (known, before) == (name, content) else None
            seq = self._keep(db, value, name, priority)
            NAMES.insert(db, [(number, name, content, seq)])
            self._named += 1
            if self._named >= FORGET:
                db.execute(_BUT_THE_LATEST, (REMEMBERED,))
                self._named = 0
            return seq, False

        return self._with_disk(value, name, keep)

    def plan(self) -> Plan:
        """What is to go next: all of the oldest birth first. Raises `StoreError`."""

        def look(db: sqlite3.Connection) -> Plan:
            facts = about.read(db)
            births = {birth: (low, count) for birth, low, count in db.execute(_BIRTHS)}
            if sum(count for _, count in births.values()) != facts.records:
                raise Damaged(f"of {facts.records} records that wait some are not there")
            birth = min(births, key=lambda birth: births[birth][0], default=facts.birth)
            low, _ = births.get(birth, (facts.last + 1, 0))
            rows = tuple(Row(row[0], row[2], row[3], row[5]) for row in _heads(db, _IN_ORDER, (birth,)))
            return Plan(birth, low - 1, facts.last if birth == facts.birth else None, rows)

        return self._run(look)

    def read(self, seqs: Sequence[int]) -> list[Record]:
        """The records of these numbers that are still there, in this order. Raises `StoreError`."""

        def look(db: sqlite3.Connection) -> list[Record]:
            found = []
            for seq in seqs:
                for _, birth, key, priority, _, _, sealed, _, value in RECORDS.select(db, "WHERE id = ?", (seq,)):
                    seal = self._seal(sealed, birth)
                    opened = value if seal is None else seal.open(value, seq, key, priority)
                    found.append(Record(seq, key, priority, opened))
            return found

        return self._run(look)

    def settle(self, birth: str, seqs: Sequence[int]) -> int:
        """Delete what was applied; how many of these were still there. Raises `StoreError`."""

        def delete(db: sqlite3.Connection) -> int:
            facts = about.read(db)
            gone = _delete(db, birth, seqs)
            about.write(db, replace(facts, records=facts.records - len(gone), size=facts.size - sum(gone)))
            return len(gone)

        return self._run(delete)

    def renew(self) -> None:
        """Let all that waits count under a new birth id. Raises `StoreError`."""

        def rename(db: sqlite3.Connection) -> None:
            facts = about.read(db)
            fresh = facts.reborn()
            for row in list(RECORDS.select(db, "WHERE birth = ?", (facts.birth,))):
                seq, birth, key, priority, at, size, sealed, _, value = row
                old, new = self._seal(sealed, birth), self._seal(sealed, fresh.birth)
                if old is not None and new is not None:
                    value = new.seal(old.open(value, seq, key, priority), seq, key, priority)
                head = (seq, fresh.birth, key, priority, at, size, sealed)
                RECORDS.insert(db, [(*head, RECORDS.digest(head), value)])
            about.write(db, fresh)

        self._run(rename)

    def backlog(self) -> Backlog:
        """What is in it now. Raises `StoreError`."""

        def look(db: sqlite3.Connection) -> Backlog:
            facts = about.read(db)
            oldest = next(iter(_heads(db, f"SELECT {_HEAD}, mark FROM records ORDER BY id LIMIT 1")), None)
            age = max(time.time_ns() - oldest[4], 0) / 1e9 if oldest else 0.0
            return Backlog(facts.records, facts.size, age, dict(facts.dropped), facts.lost, facts.repairs)

        return self._run(look)

    def close(self) -> None:
        """Close it."""
        self._database.close()

    def _keep(self, db: sqlite3.Connection, value: bytes, key: str, priority: int) -> int:
        size = _size(value, key)
        facts = self._with_room(db, about.read(db), size, priority)
        seq = facts.last + 1
        seal = self._seal(facts.key, facts.birth)
        stored = value if seal is None else seal.seal(value, seq, key, priority)
        head = (seq, facts.birth, key, priority, time.time_ns(), size, facts.key)
        RECORDS.insert(db, [(*head, RECORDS.digest(head), stored)])
        about.write(db, replace(facts, last=seq, records=facts.records + 1, size=facts.size + size))
        return seq

    def _with_disk(self, value: bytes, key: str, keep: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._database.run(keep)
        except DiskFull as error:
            raise OutboxFull(self.name, _size(value, key), self._held(), 0, str(error)) from error

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._database.run(work)
        except DiskFull as error:
            raise StoreError(
                f"the outbox {self.name!r} could not be written ({error})", "make room on the disk"
            ) from error

    def _held(self) -> int:
        try:
            return self.backlog().size
        except StoreError:
            return 0

    def _with_room(self, db: sqlite3.Connection, facts: Facts, size: int, priority: int) -> Facts:
        """The facts once there is room for a record of this size. Raises `OutboxFull`."""
        need = facts.size + size - self.limit
        if need <= 0:
            return facts
        if size > self.limit:
            raise OutboxFull(self.name, size, facts.size, self.limit, "it is larger than the limit")
        waiting = ((row[0], row[3], row[5]) for row in _heads(db, f"SELECT {_HEAD}, mark FROM records ORDER BY id"))
        chosen = victims(self.when_full, waiting, need, self.limit // SPARE, priority)
        if chosen is None:
            refused = "it refuses when full" if self.when_full == "refuse" else "all that waits is more urgent"
            raise OutboxFull(self.name, size, facts.size, self.limit, refused)
        gone = _delete(db, None, chosen)
        dropped = {**facts.dropped, self.when_full: facts.dropped.get(self.when_full, 0) + len(gone)}
        return replace(facts, records=facts.records - len(gone), size=facts.size - sum(gone), dropped=dropped)

    def _seal(self, key_file: str, birth: str) -> Seal | None:
        if not key_file:
            return None
        if birth not in self._seals:
            self._seals[birth] = Seal(Path(key_file), birth)
        return self._seals[birth]


def _size(value: bytes, key: str) -> int:
    """Bytes that a record takes."""
    return len(value) + len(key.encode()) + OVERHEAD


_BIRTHS = "SELECT birth, MIN(id), COUNT(*) FROM records GROUP BY birth"


class _Content:
    """What the database needs to know of records; see `database.Content`."""

    tables = (FACTS, RECORDS, NAMES)

    def begin(self, db: sqlite3.Connection) -> None:
        about.write(db, Facts())

    def check(self, db: sqlite3.Connection, logged: Iterable[tuple[Table, tuple[Value, ...]]]) -> None:
        facts = about.read(db)
        count, size = db.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM records").fetchone()
        if (count, size) != (facts.records, facts.size):
            raise Damaged(f"{facts.records} records of {facts.size} bytes were written, {count} of {size} are there")
        for table, row in logged:
            late = table is RECORDS and row[1] == facts.birth and int(str(row[0])) > facts.last
            if late or (table is FACTS and about.is_missing(facts, row)):
                raise Damaged("its log is damaged before its end")

    def carry(self, db: sqlite3.Connection, rows: Iterable[tuple[Table, tuple[Value, ...]]], reason: str) -> str:
        latest: Facts | None = None
        for table, row in rows:
            if table is FACTS:
                latest = about.later(latest, row)
            else:
                table.insert(db, [row])
        return about.repaired(db, "records", latest)


def _heads(db: sqlite3.Connection, query: str, given: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
    """Records without their values, each looked at. Raises `Damaged`."""
    for row in db.execute(query, given):
        if RECORDS.digest(row[:-1]) != row[-1]:
            raise Damaged(f"record {row[0]} is not what was put")
        yield row[:-1]


def _delete(db: sqlite3.Connection, birth: str | None, seqs: Iterable[int]) -> list[int]:
    """The sizes of the records that were there and are deleted."""
    where = "id = ?" if birth is None else "id = ? AND birth = ?"
    gone = []
    for seq in seqs:
        given = (seq,) if birth is None else (seq, birth)
        for (size,) in db.execute(f"SELECT size FROM records WHERE {where}", given).fetchall():
            db.execute(f"DELETE FROM records WHERE {where}", given)
            gone.append(size)
    return gone
