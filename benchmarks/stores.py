"""``python -m benchmarks.stores [FOLDER]``: two ways to keep a record before it is acknowledged (decision 0004).

SQLite (WAL, synchronous=FULL) against Arrow IPC segments, each batch with its CRC and an fsync. Both keep a sequence
number, a key and a priority beside the value. FOLDER must be on a disk; what a RAM disk says means nothing.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from benchmarks.measure import in_turn

SCHEMA = pa.schema([("seq", pa.int64()), ("key", pa.string()), ("priority", pa.int32()), ("value", pa.binary())])
ROUNDS = {200: 300, 10_000: 300, 1_000_000: 30}
BATCH = 32
WAITING = {200: 100_000, 10_000: 6_000, 1_000_000: 60}


class Kept(Protocol):
    """A store under test."""

    def put(self, values: Sequence[bytes]) -> None:
        """Keep values; they are on the disk when it returns."""

    def unsent(self) -> int:
        """Find after a restart what was not sent: sequence numbers, keys and priorities; how many there are."""


class Sqlite:
    """One table, one transaction a batch."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "records.sqlite"
        self._db = self._open()
        self._db.execute("CREATE TABLE r (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, priority INT, value BLOB)")

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        return db

    def put(self, values: Sequence[bytes]) -> None:
        """Write them and wait until the disk has them."""
        self._db.execute("BEGIN IMMEDIATE")
        rows = [("cam-1", 0, value) for value in values]
        self._db.executemany("INSERT INTO r (key, priority, value) VALUES (?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def unsent(self) -> int:
        """How many records wait, as a sender that has just started finds out."""
        return len(self._open().execute("SELECT seq, key, priority, length(value) FROM r ORDER BY seq").fetchall())


class Segments:
    """Files of 16 MB to which framed Arrow IPC streams are added: length, CRC, one record batch."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file, self._seq, self._room = folder, -1, 0, 0

    def put(self, values: Sequence[bytes]) -> None:
        """Write them and wait until the disk has them."""
        if self._room <= 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.open(self._folder / f"{self._seq:012d}.arrows", flags)
            self._room = 16_000_000
            folder = os.open(self._folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        first, self._seq = self._seq, self._seq + len(values)
        columns = [range(first, self._seq), ["cam-1"] * len(values), [0] * len(values), values]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, SCHEMA) as stream:
            stream.write_batch(
                pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], SCHEMA)
            )
        data = sink.getvalue()
        head = len(data).to_bytes(8, "little") + zlib.crc32(data).to_bytes(4, "little")
        os.writev(self._file, [head, data])
        os.fsync(self._file)
        self._room -= len(data)

    def unsent(self) -> int:
        """How many records wait, as a sender that has just started finds out."""
        return sum(batch.num_rows for path in sorted(self._folder.iterdir()) for batch in _frames(path))


def _frames(path: Path) -> Iterator[pa.RecordBatch]:
    data, at = pa.memory_map(str(path)).read_buffer(), 0
    while at + 12 <= data.size:
        size, crc = int.from_bytes(data[at : at + 8], "little"), int.from_bytes(data[at + 8 : at + 12], "little")
        frame = data.slice(at + 12, size)
        if zlib.crc32(frame) != crc:
            return
        yield pa.ipc.open_stream(frame).read_next_batch()
        at += 12 + size


def main() -> None:
    """Print a table for each size."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for size, rounds in ROUNDS.items():
        value = os.urandom(size)
        for count in (1, BATCH):
            with tempfile.TemporaryDirectory(dir=folder) as a, tempfile.TemporaryDirectory(dir=folder) as b:
                ours, theirs = Sqlite(Path(a)), Segments(Path(b))
                pairs = in_turn(
                    partial(ours.put, [value] * count),
                    partial(theirs.put, [value] * count),
                    max(rounds // count, 10) if size == 1_000_000 else rounds,
                )
            medians = [statistics.median(side) * 1e3 for side in (pairs.ours, pairs.theirs)]
            print(f"put {count:2d} x {size:9,d} B  sqlite {medians[0]:8.2f} ms  segments {medians[1]:8.2f} ms")
        with tempfile.TemporaryDirectory(dir=folder) as a, tempfile.TemporaryDirectory(dir=folder) as b:
            times = []
            for store in (Sqlite(Path(a)), Segments(Path(b))):
                for _ in range(WAITING[size] // 20):
                    store.put([value] * 20)
                began = time.perf_counter()
                assert store.unsent() == WAITING[size]
                times.append((time.perf_counter() - began) * 1e3)
        print(f"unsent {WAITING[size]:,d} x {size:,d} B  sqlite {times[0]:8.2f} ms  segments {times[1]:8.2f} ms")


if __name__ == "__main__":
    main()
