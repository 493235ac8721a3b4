"""The newest version of something on a node's disk: chunks by their digests, and a list of them for each version.

A file's name says what must be in it: a chunk's its digest, a list's the number of its version. So what is damaged is
found when it is read, a transfer that was broken off goes on with the chunks that are missing, and no version is taken
for a newer one. A version counts from the moment in which its list is there, which is after all of its chunks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tierflow.control.once import is_newer
from tierflow.errors import StoreError
from tierflow.runtime.cache import write_whole
from tierflow.runtime.durable.chunks import chunks
from tierflow.runtime.durable.database import sync_folder

__all__ = ["Chunk", "Manifest", "VersionStore"]

Chunk = tuple[str, int]
"""A chunk's digest and its bytes."""
_TRIES = 100
"""How often a reader starts again because the version that it was about to read gave way to the next."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version: its number, and the chunks that it is made of, in order."""

    version: int
    chunks: tuple[Chunk, ...]

    def dump(self) -> str:
        """As text, with a digest of itself."""
        text = json.dumps([self.version, self.chunks])
        return json.dumps([_digest(text.encode()), text])

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """What `dump` made. Raises `ValueError` for anything else."""
        digest, body = json.loads(text)
        if _digest(str(body).encode()) != digest:
            raise ValueError("it is not what was written")
        version, rows = json.loads(body)
        return cls(int(version), tuple((str(name), int(size)) for name, size in rows))


class VersionStore:
    """The store in `folder`; one process writes it, and any may read. `name` is what the versions are of.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.name, self._folder, self._chunks = folder.name, folder, folder / "chunks"
        try:
            self._chunks.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._unwritable(error) from error

    def newest(self) -> Manifest | None:
        """The newest version whose list is whole. Its chunks may be damaged all the same: see `read`."""
        best: Manifest | None = None
        for _ in range(_TRIES):
            best, gone = None, None
            for file in self._lists():
                try:
                    found = Manifest.parse(file.read_text())
                except FileNotFoundError:  # it gave way to a newer one
                    gone = int(file.stem) if is_newer(int(file.stem), gone) else gone
                except (OSError, ValueError, TypeError):  # damaged
                    continue
                else:
                    best = found if is_newer(found.version, best.version if best else None) else best
            # An older one may still have been there, which would be a step back.
            if gone is None or (best is not None and not is_newer(gone, best.version)):
                break
        return best

    def floor(self) -> int:
        """The highest number that was ever here, whether it can still be read or not; 0 for none."""
        highest: int | None = None
        for file in self._lists():
            if is_newer(int(file.stem), highest):
                highest = int(file.stem)
        return highest or 0

    def raise_floor(self, version: int) -> None:
        """Let the next version be above this one. Raises `StoreError`."""
        if is_newer(version, self.floor()):
            self._write(self._folder / f"{version}.version", "")
            self._sync(self._folder)

    def publish(self, data: bytes) -> Manifest:
        """Keep the next version; it is on the disk when this returns. The same bytes again are the same version.

        Raises:
            StoreError: it cannot be written; the version before is still there.
        """
        before, rows = self.newest(), []
        held = dict(before.chunks) if before else {}
        for part in chunks(data):
            digest = _digest(part)
            rows.append((digest, len(part)))
            if digest not in held or self._read(digest) is None:
                self._write(self._chunks / digest, part)
        if before is not None and before.chunks == tuple(rows):
            return before
        manifest = Manifest(self.floor() + 1, tuple(rows))
        self._commit(manifest)
        return manifest

    def missing(self, manifest: Manifest) -> list[Chunk]:
        """The chunks of a version that are not here, each once."""
        found: dict[str, int] = {}
        for digest, size in manifest.chunks:
            with suppress(OSError):
                if (self._chunks / digest).stat().st_size == size:
                    continue
            found[digest] = size
        return list(found.items())

    def add(self, digest: str, data: bytes) -> bool:
        """Keep a chunk that arrived; false where it is not what its digest says. Raises `StoreError`."""
        if _digest(data) != digest:
            return False
        self._write(self._chunks / digest, data)
        return True

    def take(self, manifest: Manifest) -> bool:
        """Make this the newest version, and forget what it does not need.

        False where that cannot be: it is not newer than what was here, or a chunk is missing or was found damaged.

        Raises:
            StoreError: it cannot be written; the version before is still there.
        """
        newest = self.newest()
        again = newest is not None and newest.version == manifest.version
        if not again and not is_newer(manifest.version, self.floor() or None):
            return False
        if any(self._read(digest) is None for digest in dict(manifest.chunks)):
            return False
        if not again:
            self._commit(manifest)
        return True

    def read(self) -> tuple[int, bytes]:
        """The newest version and its bytes; 0 and none where there is none yet.

        Raises:
            StoreError: a chunk is damaged. It is deleted, so that a follower fetches it again.
        """
        manifest = self.newest()
        for _ in range(_TRIES):  # again, for a newer version may have taken this one's chunks away
            if manifest is None:
                return 0, b""
            parts = [self._read(digest) for digest, _ in manifest.chunks]
            whole = [part for part in parts if part is not None]
            if len(whole) == len(parts):
                return manifest.version, b"".join(whole)
            manifest = self.newest()
        raise StoreError(
            f"the newest version of {self.name!r} is not whole on this node's disk",
            "wait: a node that follows it fetches what is missing once its publisher can be reached",
        )

    def chunks(self, digests: Sequence[str]) -> list[bytes | None]:
        """Chunks by their digests; None for one that is not here, or damaged."""
        return [self._read(digest) for digest in digests]

    def _commit(self, manifest: Manifest) -> None:
        self._sync(self._chunks)
        self._write(self._folder / f"{manifest.version}.version", manifest.dump())
        self._sync(self._folder, self._folder.parent)
        kept = dict(manifest.chunks)
        with suppress(OSError):  # what is left over goes with the next version
            for file in self._lists():
                if is_newer(manifest.version, int(file.stem)):
                    file.unlink()
            for file in self._chunks.iterdir():
                if file.name not in kept:
                    file.unlink()

    def _sync(self, *folders: Path) -> None:
        try:
            for folder in folders:
                sync_folder(folder)
        except OSError as error:
            raise self._unwritable(error) from error

    def _lists(self) -> Iterator[Path]:
        for file in self._folder.glob("*.version"):
            if file.stem.isdigit():
                yield file

    def _read(self, digest: str) -> bytes | None:
        file = self._chunks / digest
        try:
            data = file.read_bytes()
        except OSError:
            return None
        if _digest(data) == digest:
            return data
        file.unlink(missing_ok=True)
        return None

    def _write(self, file: Path, content: str | bytes) -> None:
        try:
            write_whole(file, content)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"versions of {self.name!r} cannot be written to {self._folder} ({error})", "make room there")


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
