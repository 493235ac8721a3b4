"""What a store knows of itself: one row, written by every transaction that changes anything."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from tierflow.runtime.durable.sealing import Seal, make_key
from tierflow.runtime.durable.table import Damaged, Table

__all__ = ["FACTS", "Facts", "is_missing", "later", "read", "repaired", "write"]

FACTS = Table("facts", ("text",))
_PROOF = b"tierflow"


@dataclass(frozen=True, slots=True)
class Facts:
    """One store.

    Attributes:
        birth: under which its numbers count; another whenever numbers could come twice.
        writes: how often it was changed.
        last: the last number given.
        records, size: how many records are in it, and their bytes.
        dropped: how many were dropped, by the policy that did.
        repairs, lost: how often it was put aside, and how many records were not whole then, as far as is known.
        key, proof: the key file and something that was sealed with it; empty where nothing is sealed.
    """

    birth: str = field(default_factory=lambda: uuid4().hex)
    writes: int = 0
    last: int = 0
    records: int = 0
    size: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    repairs: int = 0
    lost: int = 0
    key: str = ""
    proof: str = ""

    def sealed_with(self, key_file: Path) -> Facts:
        """The same, when from now on what is put in is sealed; the key is made where there is none.

        Raises:
            StoreError: it is no key, or others may read it.
        """
        make_key(key_file)
        return replace(self, key=str(key_file))._proven()

    def prove(self) -> None:
        """Whether the key is the store's. Raises `StoreError`."""
        if self.proof:
            Seal(Path(self.key), self.birth).open(bytes.fromhex(self.proof), "proof")

    def reborn(self) -> Facts:
        """The same under a new birth id. Raises `StoreError` where its key is not there."""
        return replace(self, birth=uuid4().hex)._proven()

    def _proven(self) -> Facts:
        if not self.key:
            return self
        return replace(self, proof=Seal(Path(self.key), self.birth).seal(_PROOF, "proof").hex())


def read(db: sqlite3.Connection) -> Facts:
    """The facts. Raises `Damaged`."""
    for row in FACTS.select(db):
        return _facts(row)
    raise Damaged("it does not say what it is")


def write(db: sqlite3.Connection, facts: Facts) -> None:
    """Write them, counting that."""
    FACTS.insert(db, [(1, json.dumps(asdict(replace(facts, writes=facts.writes + 1))))])


def later(one: Facts | None, row: tuple[Any, ...]) -> Facts:
    """The later of some facts and those of a row."""
    other = _facts(row)
    return other if one is None or other.writes > one.writes else one


def is_missing(facts: Facts, row: tuple[Any, ...]) -> bool:
    """Whether a row of the log was written after these facts: then SQLite does not show all that was committed."""
    other = _facts(row)
    return other.birth == facts.birth and other.writes > facts.writes


def repaired(db: sqlite3.Connection, table: str, before: Facts | None) -> str:
    """Write the facts of a database whose rows were carried over into `table`; what to say of it."""
    before = before or Facts()
    query = f"SELECT COUNT(*), COALESCE(SUM(size), 0), COALESCE(MAX(id), 0) FROM {table}"
    count, size, last = db.execute(query).fetchone()
    lost = max(before.records - count, 0)
    after = replace(before, last=max(before.last, last), records=count, size=size)
    after = replace(after, repairs=before.repairs + 1, lost=before.lost + lost)
    for (key_file,) in db.execute(f"SELECT sealed FROM {table} WHERE sealed != '' LIMIT 1").fetchall():
        after = replace(after, key=key_file)
    write(db, after.reborn())
    return f"{count} records are carried over, {lost} were not whole"


def _facts(row: tuple[Any, ...]) -> Facts:
    return Facts(**json.loads(row[1]))
