"""The file in which a fabric keeps what it knows of its last calls."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from tierflow.planning.explanation import Explanation
from tierflow.planning.recorder import explanations

__all__ = ["JOURNAL", "Journal"]

JOURNAL = "calls.jsonl"
"""The file's name in the state of a fabric."""
LARGEST = 4 << 20
"""Bytes that the file may have before it becomes the predecessor, whose place it takes."""
TRIES = 8
"""How often a reader looks again where the file was turned over under its eyes."""


class Journal:
    """Lines that are only ever added, by one writer, in a file and its one predecessor (``calls.jsonl.1``).

    A batch of lines is one write. It is not forced to the disk: what is lost with a machine that loses its power are
    explanations, not results. Readers need no lock and make the writer wait for nothing.
    """

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self._path, self._largest = path, largest
        self._before = path.with_name(f"{path.name}.1")

    def append(self, lines: Iterable[str]) -> None:
        """Add lines, none of which holds an end of line; what an earlier writer left unfinished is closed off.

        Raises:
            OSError: the file cannot be written.
        """
        data = "".join(f"{line}\n" for line in lines).encode()
        if not data:
            return
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o600)
        try:
            size = os.fstat(file).st_size
            if size and size + len(data) > self._largest:
                self._path.replace(self._before)
                os.close(file)
                file = os.open(self._path, flags, 0o600)
                size = 0
            if size and os.pread(file, 1, size - 1) != b"\n":
                data = b"\n" + data
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)

    def last(self, count: int, call: str = "") -> tuple[Explanation, ...]:
        """The last calls, oldest first, whose id begins with `call`; fewer where there are not so many.

        Raises:
            OSError: the files are there but cannot be read.
        """
        return explanations(self._newest_first(), count, call)

    def _newest_first(self) -> Iterator[str]:
        """Every whole line, from the end of the file to the beginning of its predecessor."""
        for data in self._contents():
            whole = data[: data.rfind(b"\n") + 1]
            for line in reversed(whole.split(b"\n")):
                yield line.decode(errors="replace")

    def _contents(self) -> list[bytes]:
        """The file and its predecessor, of one moment: not the same file twice where one was turned over meanwhile."""
        for _ in range(TRIES):
            with ExitStack() as stack:
                files = []
                for path in (self._path, self._before):
                    with suppress(FileNotFoundError):
                        files.append(stack.enter_context(path.open("rb")))
                inodes = [os.fstat(file.fileno()).st_ino for file in files]
                if inodes == self._inodes():
                    return [file.read() for file in files]
        return []

    def _inodes(self) -> list[int]:
        """Which files the names stand for now."""
        found = []
        for path in (self._path, self._before):
            with suppress(FileNotFoundError):
                found.append(path.stat().st_ino)
        return found
