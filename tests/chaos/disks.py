"""Disks that can lose their power and be full: small ext4 file systems of their own, in memory.

A file system on a loop device writes to its image what it would write to its disk, when it would. So a copy of the
image is what a disk holds when its power goes: what was confirmed by fsync(2) is in it, the rest of the page cache is
not, and whoever mounts the copy replays the journal as after a real loss. It needs root and loop devices; without them
there is no loss of power, only the end of processes, and `lacking` says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

__all__ = ["Disk", "disks", "lacking"]

SIZE = 16 << 20
_PREFIX = "tierflow-chaos-"
_SPARE = 64 << 10


class Disk:
    """A file system mounted at `folder`."""

    def __init__(self, place: Path, name: str, template: Path | None) -> None:
        self.folder = place / name
        self.folder.mkdir()
        self._place, self._name, self._life, self._full = place, name, 0, False
        self._mounts = template is not None
        if template is not None:
            shutil.copyfile(template, self._image)
            self._mount()

    def lose_power(self) -> None:
        """Go back to what the disk itself holds. No process may have a file open on it."""
        if not self._mounts:
            return
        old = self._image
        self._life += 1
        _copy(old, self._image)
        _run("umount", "--lazy", str(self.folder))
        old.unlink()
        self._mount()
        full = self._full
        self.clear()  # that it was filled, or cleared, need not have been on the disk
        if full:
            self.fill()

    def fill(self) -> None:
        """Take all its room but a little."""
        if not self._mounts:
            return
        self._full = True
        with suppress(OSError), self._ballast.open("wb") as file:
            room = os.statvfs(self.folder)
            os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_bsize - _SPARE, 1))

    def clear(self) -> None:
        """Give the room back."""
        self._full = False
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmount it."""
        if self._mounts:
            _run("umount", "--lazy", str(self.folder))
            self._image.unlink()

    @property
    def _image(self) -> Path:
        return self._place / f"{self._name}-{self._life}.img"

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.folder))


@contextmanager
def disks(names: tuple[str, ...]) -> Iterator[dict[str, Disk]]:
    """A disk for each name; gone at the end. Plain folders where this machine lacks what disks need."""
    root = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    _sweep(root or Path(tempfile.gettempdir()))
    place = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root))
    template = None
    if lacking() is None:
        template = place / "template.img"
        _make(template)
    made: dict[str, Disk] = {}
    try:
        for name in names:
            made[name] = Disk(place, name, template)
        yield made
    finally:
        for disk in made.values():
            with suppress(subprocess.CalledProcessError):
                disk.remove()
        shutil.rmtree(place, ignore_errors=True)


@cache
def lacking() -> str | None:
    """What this machine lacks for disks that lose their power, if anything."""
    if os.geteuid() != 0:
        return "root"
    if not all(shutil.which(name) for name in ("mkfs.ext4", "mount", "umount")):
        return "mkfs.ext4 and mount"
    place = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        _make(place / "template.img")
        Disk(place, "probe", place / "template.img").remove()
    except (OSError, subprocess.CalledProcessError):
        return "loop devices"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return None


def _make(image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(SIZE)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))


def _sweep(root: Path) -> None:
    """Remove what a process left that was killed."""
    for place in root.glob(f"{_PREFIX}*-*"):
        pid = place.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            for folder in filter(Path.is_mount, place.iterdir()):
                _run("umount", "--lazy", str(folder))
            shutil.rmtree(place, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a sparse file, quickly."""
    _run("cp", "--sparse=always", str(source), str(target))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)
