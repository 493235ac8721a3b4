"""Uploads that are under way, on the disk: what arrived stays there until the rest comes, or until it is too old.

A file for each, named by a digest of its box and key: its bytes are its offset, and a restart changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from tierflow.errors import ClientRefused, StoreError
from tierflow.exchange.gateway.quota import Client

__all__ = ["Part", "Parts"]

SWEEP = 60.0
"""Seconds between two looks for parts that are too old."""


class Part:
    """One upload in the hands of one request. A later request for the same record takes it over."""

    def __init__(self, file: Path, turns: dict[Path, Part], guard: threading.Lock) -> None:
        self.file, self._turns, self._guard = file, turns, guard

    @property
    def size(self) -> int:
        """Bytes that are there."""
        with suppress(FileNotFoundError):
            return self.file.stat().st_size
        return 0

    def append(self, data: bytes) -> None:
        """Keep more of it. Raises `ClientRefused` where another request goes on with it, `StoreError`."""
        try:
            with self._guard:
                self._must_be_its_turn()
                with self.file.open("ab") as opened:
                    opened.write(data)
        except OSError as error:
            raise _no_room(error) from error

    def content(self) -> bytes:
        """All of it. Raises `ClientRefused` where another request goes on with it, `StoreError`."""
        try:
            with self._guard:
                self._must_be_its_turn()
                return self.file.read_bytes()
        except OSError as error:
            raise _no_room(error) from error

    def forget(self) -> None:
        """It is kept elsewhere, or not wanted."""
        with self._guard:
            if self._turns.get(self.file) is self:
                del self._turns[self.file]
                self.file.unlink(missing_ok=True)

    def _must_be_its_turn(self) -> None:
        if self._turns.get(self.file) is not self:
            raise ClientRefused("conflict", "another request goes on with this upload", "ask for its offset")


class Parts:
    """The uploads in `folder`; one that nothing was added to for `life` seconds is forgotten."""

    def __init__(self, folder: Path, life: float = 86400.0) -> None:
        self._folder, self._life = folder, life
        self._turns: dict[Path, Part] = {}
        self._guard = threading.Lock()
        self._swept = 0.0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def offset(self, client: Client, box: str, key: str) -> int | None:
        """Bytes that are there of an upload; None where there is none."""
        self.sweep()
        with suppress(FileNotFoundError):
            return self._file(client, box, key).stat().st_size
        return None

    def open(self, client: Client, box: str, key: str, offset: int | None) -> Part:
        """Begin an upload (`offset` None: from its start), or go on with it.

        Raises:
            ClientRefused: another number of bytes is there, or the client has too many uploads under way.
            StoreError: the disk takes no more.
        """
        self.sweep()
        file = self._file(client, box, key)
        with self._guard:
            part = Part(file, self._turns, self._guard)
            known = file.exists()
            if offset not in (None, part.size):
                raise ClientRefused(
                    "conflict", f"{part.size} bytes of this upload are there, not {offset}", "go on from there",
                    offset=part.size,
                )  # fmt: skip
            if not known and len(list(file.parent.glob("*"))) >= client.limits.uploads:
                raise ClientRefused(
                    "busy", f"{client.limits.uploads} uploads at once are allowed", "finish or delete one first", 5.0
                )
            self._turns[file] = part
            try:
                file.parent.mkdir(exist_ok=True, mode=0o700)
                if offset is None or not known:
                    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            except OSError as error:
                raise _no_room(error) from error
        return part

    def sweep(self) -> None:
        """Forget what is too old, now and then."""
        now = time.time()
        if now - self._swept < min(SWEEP, self._life):
            return
        self._swept = now
        for file in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):
                if now - file.stat().st_mtime > self._life:
                    file.unlink()
                    self._turns.pop(file, None)

    def _file(self, client: Client, box: str, key: str) -> Path:
        return self._folder / client.name / hashlib.blake2b(f"{box}/{key}".encode(), digest_size=16).hexdigest()


def _no_room(error: OSError) -> StoreError:
    return StoreError(f"an upload cannot be kept ({error.strerror})", "make room on the gateway's disk")
