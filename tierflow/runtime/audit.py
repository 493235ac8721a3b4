"""The audit log of a node: what was released from its scope, and what was refused. It is only ever added to.

One JSON object a line, each with the digest of the line before (`trust.chain`), on the disk before what it tells of
goes on. Beside it a file says how far the log goes, so that one that was cut off is known for it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tierflow.errors import StoreError
from tierflow.runtime.cache import write_whole
from tierflow.trust import End, end_of, linked

__all__ = ["AuditLog", "read_ends", "write_ends"]

LOG, LAST = "audit.jsonl", "audit.last"
TAIL = 1 << 20
"""Bytes, more than any line has."""


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The log of the node whose folder this is."""

    folder: Path

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add an entry, with the seconds since 1970; it is on the disk when this returns.

        Raises:
            StoreError: it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._alone() as file:
                end = _end(file)
                line = linked({"at": round(time.time(), 3), **entry}, end)
                os.write(file, line + b"\n")
                os.fsync(file)
                write_ends(self.folder / LAST, {"": end_of(line)})
        except OSError as error:
            raise StoreError(
                f"the audit log in {self.folder} cannot be written ({error})",
                "make room on its disk: what is not written down there is not released",
            ) from error

    def read(self) -> tuple[Sequence[bytes], End]:
        """Every line, and how far the log went when it was written last.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            text = (self.folder / LOG).read_bytes()
        except FileNotFoundError:
            text = b""
        except OSError as error:
            raise StoreError(
                f"the audit log in {self.folder} cannot be read ({error})", "read it as the user of the fabric"
            ) from error
        return text.splitlines(), read_ends(self.folder / LAST).get("", End())

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """The open log, while no other process of the node writes it."""
        file = os.open(self.folder / LOG, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def read_ends(file: Path) -> dict[str, End]:
    """The ends of logs, by name, that `write_ends` wrote; none where there is no such file."""
    try:
        return {name: End(**end) for name, end in json.loads(file.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_ends(file: Path, ends: Mapping[str, End]) -> None:
    """Write down how far logs go. Raises `OSError`."""
    write_whole(file, json.dumps({name: asdict(end) for name, end in ends.items()}))


def _end(file: int) -> End:
    """The end of the log; a line that was not written whole, and so never counted, is taken away."""
    size = os.fstat(file).st_size
    tail = os.pread(file, TAIL, max(size - TAIL, 0))
    whole = tail.rfind(b"\n") + 1
    os.ftruncate(file, size - len(tail) + whole)
    return end_of(tail[:whole].rstrip(b"\n").rpartition(b"\n")[2])
