"""A reader's own view of memory that a whole node shares: read without a copy, copied page by page when written.

Ray keeps objects in one file under ``/dev/shm`` (``plasmaXXXXXX``, unlinked) that every process of the node maps
shared *and writable*: a tensor made straight over it would let one task's ``x.add_(1)`` change what all others read.
So the same pages of the same file are mapped once more, ``MAP_PRIVATE``, for this reader alone (mmap(2)).
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["PrivateView", "Region", "private", "region_of"]

_STORE = "plasma"


@dataclass(frozen=True, slots=True)
class Region:
    """One line of ``/proc/PID/maps``: ``start`` to ``end`` show ``path`` (by device, inode) from ``offset`` on."""

    start: int
    end: int
    shared: bool
    offset: int
    device: int
    inode: int
    path: str


class _PrivateMemory(mmap.mmap):
    """A private mapping that keeps the shared object alive: freed, its pages would be given to the next object."""

    source: pa.Buffer


@dataclass(frozen=True, slots=True)
class PrivateView:
    """Writable memory of this process, in which the wanted bytes begin at ``offset``."""

    memory: mmap.mmap
    offset: int


def region_of(address: int) -> Region | None:
    """The mapping of this process that holds ``address``; ``None`` if there is none, or no ``/proc`` to ask."""
    try:
        with Path("/proc/self/maps").open() as lines:
            for line in lines:
                span, modes, offset, device, inode, *path = line.split(None, 5)
                start, end = (int(edge, 16) for edge in span.split("-"))
                if start <= address < end:
                    major, minor = (int(part, 16) for part in device.split(":"))
                    name = path[0].rstrip("\n") if path else ""
                    number = os.makedev(major, minor)
                    return Region(start, end, modes[3] == "s", int(offset, 16), number, int(inode), name)
    except OSError:
        return None
    return None


def private(data: pa.Buffer) -> PrivateView | None:
    """``data``'s own pages, for this reader alone; ``None`` unless it lies in the object store and its file opens."""
    region = None if data.is_mutable else region_of(data.address)
    if region is None or not region.shared or not Path(region.path).name.startswith(_STORE):
        return None
    if data.address + data.size > region.end:
        return None
    place = data.address - region.start + region.offset
    first = place - place % mmap.ALLOCATIONGRANULARITY
    for name in _descriptors(region):
        try:
            opened = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            found = os.fstat(opened)
            if (found.st_dev, found.st_ino) != (region.device, region.inode):
                continue
            memory = _PrivateMemory(
                opened, place - first + data.size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE, offset=first
            )
        finally:
            os.close(opened)
        memory.source = data
        return PrivateView(memory, place - first)
    return None


def _descriptors(region: Region) -> Iterator[str]:
    """Names under which the unlinked file can be opened: by its mapping (needs root), or as another process holds it.

    A worker's parent is the raylet, which holds the store's file; a driver has to look for the raylet.
    """
    yield f"/proc/self/map_files/{region.start:x}-{region.end:x}"
    mine = os.getuid()
    parent = str(os.getppid())
    for process in (parent, *(entry.name for entry in os.scandir("/proc") if entry.name.isdigit())):
        try:
            if Path(f"/proc/{process}").stat().st_uid != mine:
                continue
            for entry in os.scandir(f"/proc/{process}/fd"):
                found = entry.stat()
                if (found.st_dev, found.st_ino) == (region.device, region.inode):
                    yield entry.path
        except OSError:
            continue
