"""The audit log of a node: what was released from its scope, and what was refused. It is only ever added to.

One JSON object a line, each with the digest of the line before (`trust.chain`), on the disk before what it tells of
goes on. Beside it a file says how far the log goes, so that one that was cut off is known for it; that is not forced to
the disk: after a loss of power it may say less than there is. Refusals that come again are counted (`trust.repeats`).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tierflow.errors import StoreError
from tierflow.runtime.cache import write_whole
from tierflow.trust import End, Held, again, due, end_of, linked

__all__ = ["AuditLog", "read_ends", "write_ends"]

LOG, LAST, HELD = "audit.jsonl", "audit.last", "audit.held"
TAIL = 1 << 13
"""Bytes that are read for the last line; more where it is longer."""
LONGEST, LONGEST_REFUSAL = 1 << 16, 1 << 12
"""Bytes of a line: those of refusals can be made by anybody, those of releases by functions that declare it."""
SHARE = 64 << 20
"""Bytes that are left free on the disk by refusals: they are not to stop releases."""


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The log of the node whose folder this is."""

    folder: Path

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add an entry, with the seconds since 1970; it is on the disk when this returns, shortened where it is long.

        A refusal that was added within the last minute is counted instead, and added later with how often it came.

        Raises:
            StoreError: it cannot be written.
        """
        refusal = str(entry.get("what", "")).startswith("refusal")
        with self._written() as file:
            self._keep(file, self._settled(entry) if refusal else [entry])

    def settled(self) -> tuple[Sequence[bytes], End]:
        """As `read`, once it is added how often refusals came of which the minute is over. Raises `StoreError`."""
        if (self.folder / HELD).exists():
            with suppress(StoreError), self._written() as file:  # it can be read all the same
                self._keep(file, self._settled())
        return self.read()

    def read(self) -> tuple[Sequence[bytes], End]:
        """Every line, and how far the log went when it was written last.

        Raises:
            StoreError: it cannot be read.
        """
        last = read_ends(self.folder / LAST).get("", End())  # before the lines, of which there may be more by then
        try:
            with self._alone(os.O_RDONLY, fcntl.LOCK_SH) as file, open(file, "rb", closefd=False) as opened:
                text = opened.read()
        except FileNotFoundError:
            text = b""
        except OSError as error:
            raise StoreError(
                f"the audit log in {self.folder} cannot be read ({error})", "read it as the user of the fabric"
            ) from error
        return text.splitlines(), last

    def _settled(self, *entries: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """What is to be written of refusals, those given and those whose minute is over; takes note of the others."""
        free = os.statvfs(self.folder)
        if free.f_bavail * free.f_frsize < SHARE:
            raise OSError(errno.ENOSPC, "what is left is for releases")
        now, held = time.time(), _held(self.folder / HELD)
        lines: list[Mapping[str, Any]] = [*due(held, now)]
        lines += [entry for entry in (_cut(entry, TEXTS[1]) for entry in entries) if not again(held, entry, now)]
        write_whole(self.folder / HELD, json.dumps(held), forced=False)
        return lines

    def _keep(self, file: int, entries: Sequence[Mapping[str, Any]]) -> None:
        size, end = _end(file)
        lines = []
        for entry in entries:
            lines.append(_line({"at": round(time.time(), 3), **entry}, end))
            end = end_of(lines[-1])
        if lines:
            _append(file, size, b"".join(line + b"\n" for line in lines))
            write_ends(self.folder / LAST, {"": end}, forced=False)

    @contextmanager
    def _written(self) -> Iterator[int]:
        """The open log, to be written. Raises `StoreError` where that fails."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._alone(os.O_RDWR | os.O_APPEND | os.O_CREAT, fcntl.LOCK_EX) as file:
                yield file
        except OSError as error:
            raise StoreError(
                f"the audit log in {self.folder} cannot be written ({error})",
                "make room on its disk: what is not written down there is not released",
            ) from error

    @contextmanager
    def _alone(self, way: int, lock: int) -> Iterator[int]:
        """The open log, while no other process of the node writes it."""
        file = os.open(self.folder / LOG, way | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, lock)
            yield file
        finally:
            os.close(file)


def read_ends(file: Path) -> dict[str, End]:
    """The ends of logs, by name, that `write_ends` wrote; none where there is no such file."""
    try:
        return {name: End(**end) for name, end in json.loads(file.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_ends(file: Path, ends: Mapping[str, End], *, forced: bool = True) -> None:
    """Write down how far logs go, see `write_whole`. Raises `OSError`."""
    write_whole(file, json.dumps({name: asdict(end) for name, end in ends.items()}), forced=forced)


TEXTS = 512, 64, 8
"""Characters that are kept of a text, and items of a list at the most: the first with which a line is short enough."""


def _line(entry: Mapping[str, Any], end: End) -> bytes:
    """The next line, with its texts as long as there is room for. Raises `OSError` where there is none."""
    longest = LONGEST_REFUSAL if str(entry.get("what", "")).startswith("refusal") else LONGEST
    for most in TEXTS:
        line = linked(_cut(entry, most), end)
        if len(line) < longest:
            return line
    raise OSError(errno.EMSGSIZE, "the entry is too long")


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}..."
    if isinstance(value, Mapping):
        return {name: _cut(item, most) for name, item in value.items()}
    return [_cut(item, most) for item in value[-most:]] if isinstance(value, (list, tuple)) else value


def _append(file: int, size: int, data: bytes) -> None:
    """Add to a log of this size, on the disk, or leave it as it is. Raises `OSError`."""
    try:
        written = os.write(file, data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise


def _held(file: Path) -> Held:
    """The refusals that were held; none where the file cannot be read, as after a loss of power."""
    try:
        found = json.loads(file.read_text())
        return {
            name: {"since": float(row["since"]), "times": int(row["times"]), "entry": dict(row["entry"])}
            for name, row in found.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _end(file: int) -> tuple[int, End]:
    """The size and end of the log; a line that was not written whole, and so never counted, is taken away."""
    size, span = os.fstat(file).st_size, TAIL
    while True:
        tail = os.pread(file, span, max(size - span, 0))
        whole = tail.rfind(b"\n") + 1
        start = tail.rfind(b"\n", 0, max(whole - 1, 0)) + 1
        if start or span >= size:
            break
        span *= 8
    size -= len(tail) - whole
    os.ftruncate(file, size)
    return size, end_of(tail[start:whole].rstrip(b"\n"))
