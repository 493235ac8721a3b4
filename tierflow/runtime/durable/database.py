"""A SQLite database that several processes of a node write, and that outlives damage.

It lives in a numbered folder. When it is found to be damaged, the next number is made beside it with every row that is
whole, and takes its place at once; the damaged one is put aside, and only the last that was is kept. A lock on a file
(flock(2)) is held for each transaction, so that nobody writes to one that has just been put aside.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from tierflow.errors import StoreError
from tierflow.runtime.durable.carve import PAGE, Value, carve, committed
from tierflow.runtime.durable.table import Damaged, Table

__all__ = ["Content", "Database", "DiskFull", "commit", "sync_folder"]

T = TypeVar("T")
log = logging.getLogger("tierflow.durable")

FILE = "rows.sqlite"
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_CANTOPEN}
_FULL |= {sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_SHMMAP}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT}
_DAMAGED |= {sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}


class DiskFull(Exception):
    """The disk took no more; the transaction is undone."""


class Content(Protocol):
    """What a store keeps in its database."""

    @property
    def tables(self) -> Sequence[Table]:
        """All of them."""

    def begin(self, db: sqlite3.Connection) -> None:
        """Write the first rows of a new database."""

    def check(self, db: sqlite3.Connection, logged: Iterable[tuple[Table, tuple[Value, ...]]]) -> None:
        """Look whether all is there; `logged` are whole rows of the log, newest last. Raises `Damaged`."""

    def carry(self, db: sqlite3.Connection, rows: Iterable[tuple[Table, tuple[Value, ...]]], reason: str) -> str:
        """Write whole rows of a damaged database into a new one; a row may come twice. What to say of it."""


class Database:
    """The database in `folder`; made where there is none.

    Raises:
        StoreError: it cannot be opened. It may be tried again: nothing is held.
    """

    def __init__(self, folder: Path, content: Content) -> None:
        self._folder, self._content = folder, content
        self._guard = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._number = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._users = os.open(folder / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the store in {folder} cannot be opened ({error})", "make it writable") from error
        try:
            self._enter()
        except DiskFull as error:
            self.close()
            raise StoreError(f"the store in {folder} cannot be opened ({error})", "make room on its disk") from error
        except BaseException:  # whoever tries again would wait for the locks of this try
            self.close()
            raise

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in a transaction; what it wrote is on the disk when this returns, all of it or nothing.

        Raises:
            DiskFull: the disk took no more.
            StoreError: the database cannot be used, and not because it is damaged.
        """
        with self._guard, self._locked():
            try:
                return self._transaction(work)
            except Damaged as error:
                self._put_aside(_reason(error))
            return self._transaction(work)

    def close(self) -> None:
        """Close it; it may be opened again."""
        with self._guard:
            self._leave()
            for file in (self._lock, self._users):
                with suppress(OSError):
                    os.close(file)

    @property
    def file(self) -> Path:
        """The file that is written now; beside it is its log."""
        return self._folder / str(self._number) / FILE

    def _enter(self) -> None:
        """Open it. Whoever finds nobody else here looks whether all is well: only then can SQLite pass over its log."""
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        with self._locked():
            if alone:
                try:
                    self._look_over()
                except Damaged as error:
                    self._put_aside(_reason(error))
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def _look_over(self) -> None:
        """Whether all that was committed is here. Raises `Damaged`."""
        number = self._newest()
        written = _read(self._folder / str(number) / f"{FILE}-wal") if number else b""
        try:
            with self._judged():
                db = self._connection()
                for (said,) in db.execute("PRAGMA quick_check(1)"):
                    if said != "ok":
                        raise Damaged(said)
                self._content.check(db, self._whole(b"", committed(written)))
        except Damaged:
            self._leave()
            if written:  # closing it has cut the log to what SQLite takes for its end
                (self._folder / str(number) / f"{FILE}-wal").write_bytes(written)
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._judged():
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
                commit(db)
            except BaseException:
                with suppress(sqlite3.Error):
                    db.rollback()
                raise
        return result

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """What SQLite says, in three words: `Damaged`, `DiskFull`, or another trouble."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0)
            if code in _FULL or code & 255 in _FULL:
                self._leave()  # after a failed fsync nobody knows what is on the disk: read it again
                raise DiskFull(str(error)) from error
            if code in _DAMAGED or code & 255 in _DAMAGED:
                raise Damaged(str(error)) from error
            raise StoreError(f"the store in {self._folder} cannot be used ({error})", "see its disk") from error

    def _connection(self) -> sqlite3.Connection:
        """The open database; the newest, where another process has put aside the one that was open."""
        if self._db is not None and not (self._folder / str(self._number + 1)).exists():
            return self._db
        self._leave()
        self._number = self._newest() or self._make(1, self._content.begin)
        db = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            for pragma in ("journal_mode=WAL", "cell_size_check=ON", "journal_size_limit=4194304"):
                db.execute(f"PRAGMA {pragma}")
            sync_every_commit(db)
            for table in self._content.tables:  # an older version may have made it without some
                db.execute(table.create)
        except sqlite3.Error:
            db.close()
            raise
        self._db = db
        return db

    def _leave(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _newest(self) -> int:
        return max((int(path.name) for path in self._folder.iterdir() if path.name.isdigit()), default=0)

    def _make(self, number: int, fill: Callable[[sqlite3.Connection], object]) -> int:
        """Make the database of this number: whole, on the disk, or not at all."""
        draft, whole = self._folder / f"{number}.new", self._folder / str(number)
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(mode=0o700)
            db = sqlite3.connect(draft / FILE, isolation_level=None)
            try:
                db.execute(f"PRAGMA page_size={PAGE}")
                db.execute("PRAGMA synchronous=FULL")
                db.execute("BEGIN IMMEDIATE")
                for table in self._content.tables:
                    db.execute(table.create)
                fill(db)
                commit(db)
            finally:
                db.close()
            sync_folder(draft)
            draft.rename(whole)
            sync_folder(self._folder)
            sync_folder(self._folder.parent)
        except (OSError, sqlite3.Error) as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise StoreError(f"no store can be made in {self._folder} ({error})", "make room on its disk") from error
        return number

    def _put_aside(self, reason: str) -> None:
        """Make the next database of what is whole in this one."""
        number = self._newest()
        old = self._folder / str(number)
        log_before = _read(old / f"{FILE}-wal")
        self._leave()
        if len(log_before) > len(_read(old / f"{FILE}-wal")):
            (old / f"{FILE}-wal").write_bytes(log_before)
        database = _read(old / FILE)
        said: list[str] = []
        rows = self._whole(database, committed(log_before))
        self._number = self._make(number + 1, lambda db: said.append(self._content.carry(db, rows, reason)))
        with suppress(OSError):
            (old / "damaged").write_text(f"{reason}\n{said[0]}\n")
            shutil.rmtree(self._folder / str(number - 1), ignore_errors=True)
        log.error("the store in %s was damaged (%s): it is put aside in %s; %s", self._folder, reason, old, said[0])

    def _whole(self, database: bytes, written: bytes) -> Iterator[tuple[Table, tuple[Value, ...]]]:
        """The whole rows in these bytes, without their digests."""
        for row in carve(database, written):
            for table in self._content.tables:
                if table.holds(row):
                    yield table, row[:-1]
                    break


def commit(db: sqlite3.Connection) -> None:
    """End a transaction. When this returns, what it wrote is on the disk: only then is it acknowledged."""
    db.execute("COMMIT")


def sync_every_commit(db: sqlite3.Connection) -> None:
    """Let each commit wait for the disk (https://www.sqlite.org/pragma.html#pragma_synchronous)."""
    db.execute("PRAGMA synchronous=FULL")


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk: without it a new file may be gone after a loss of power."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _read(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return b""
