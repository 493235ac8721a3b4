"""What the cgroups of this process let it use: cores and memory. Reads files; knows both versions of cgroups.

A limit holds for a group and for all below it, so the least of the group and the groups above it counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Quota", "cpu_quota", "memory_limit"]

UNLIMITED = 2**60
"""Bytes from which on a limit of version 1 means that there is none."""


@dataclass(frozen=True, slots=True)
class Quota:
    """`cores` that the processes of the group in `folder` may keep busy together."""

    cores: float
    folder: Path


def cpu_quota(proc: Path = Path("/proc/self")) -> Quota | None:
    """The least CPU quota of this process's groups (``cpu.max``, or ``cpu.cfs_quota_us`` of version 1); None: none."""
    found = [quota for folder in _groups(proc, "cpu") if (quota := _quota_of(folder)) is not None]
    return min(found, key=lambda quota: quota.cores, default=None)


def memory_limit(proc: Path = Path("/proc/self")) -> int | None:
    """The least memory limit (bytes) of this process's groups; None: the machine's memory is all that limits it."""
    limits = []
    for folder in _groups(proc, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(folder / name)
            if text.isdecimal() and int(text) < UNLIMITED:
                limits.append(int(text))
    return min(limits, default=None)


def _groups(proc: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's group and of those above it, in each hierarchy that may limit it.

    Inside a container the path is the host's, and the container's own group is the mount itself: then only that is
    found.
    """
    with suppress(OSError):
        mounts = [line.split() for line in (proc / "mounts").read_text().splitlines()]
        for line in (proc / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            for _, where, kind, options, *_ in mounts:
                if kind == ("cgroup" if controllers else "cgroup2") and (
                    not controllers or controller in options.split(",")
                ):
                    folder = Path(where, path.lstrip("/"))
                    yield from (folder, *folder.parents[: len(folder.parts) - len(Path(where).parts)])


def _quota_of(folder: Path) -> Quota | None:
    words = _read(folder / "cpu.max").split() or [
        _read(folder / "cpu.cfs_quota_us"),
        _read(folder / "cpu.cfs_period_us"),
    ]
    if len(words) == 2 and all(word.isdecimal() for word in words):
        return Quota(int(words[0]) / int(words[1]), folder)
    return None


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip()
    return ""
