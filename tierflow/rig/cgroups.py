"""Control groups: the CPU quota of a node, and all the processes of a node. Versions 1 and 2."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tierflow.errors import RigError

__all__ = ["Hierarchy", "detect"]

_PERIOD, _LONGEST_PERIOD = 0.01, 1.0
"""Seconds: at the kernel's default of 0.1 s a throttled process stands still for up to 80 ms."""
_LEAST_SHARE = 0.001
"""Seconds of CPU time: the kernel takes no smaller share of a period, so a small quota has a longer one."""
_PATIENCE = 10.0
_ROOM = "tierflow"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted cgroup hierarchy; groups are named by a path under its own folder `tierflow`.

    `quotas` is false where the kernel gives no CPU controller there: processes can be found, not slowed.
    """

    mount: Path
    version: Literal[1, 2]
    quotas: bool = True

    def path(self, group: str) -> Path:
        """The folder of a group ("demo-1f3a/cam-1")."""
        return self.mount / _ROOM / group

    def make(self, group: str) -> None:
        """Make a group and the groups above it."""
        path = self.path(group)
        for _ in range(100):
            try:
                path.mkdir(parents=True, exist_ok=True)
                self._delegate(path)
                return
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise
                continue  # another rig just removed the empty folder above it
        raise RigError(f"the cgroup {path} cannot be made", "see whether something else removes it")

    def quota(self, group: str, cores: float | None) -> None:
        """Let the processes of a group use `cores` cores together; None: as many as there are.

        Raises:
            RigError: this kernel has no CPU quota here.
        """
        if cores is None and not self.quotas:
            return
        if not self.quotas:
            raise RigError(
                f"{self.mount} has no CPU controller, so {group} cannot be held to {cores} cores",
                "leave out cpu_quota, or enable the cpu controller for this cgroup",
            )
        period, share = _bandwidth(cores)
        path = self.path(group)
        if self.version == 2:
            (path / "cpu.max").write_text(f"{'max' if share < 0 else share} {period}")
        else:
            (path / "cpu.cfs_period_us").write_text(str(period))
            (path / "cpu.cfs_quota_us").write_text(str(share))

    def processes(self, group: str) -> list[int]:
        """The processes in a group and in groups below it, by id."""
        found = []
        for folder in self._folders(group):
            with contextlib.suppress(FileNotFoundError, OSError):
                found += [int(line) for line in (folder / "cgroup.procs").read_text().split()]
        return [pid for pid in found if pid]  # a process of another pid namespace shows as 0

    def kill(self, group: str) -> None:
        """End every process of a group at once and wait until none is left.

        Raises:
            RigError: one of them does not end, as a process in uninterruptible sleep does not.
        """
        until = time.monotonic() + _PATIENCE
        while pids := self.processes(group):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until:
                raise RigError(f"processes {pids} of {group} do not end", "see what they wait for, then try again")
            time.sleep(0.005)

    def remove(self, group: str) -> None:
        """Kill what is in a group and remove it, the groups below it and the empty folders above it.

        Raises:
            RigError: a process in it does not end.
        """
        until = time.monotonic() + _PATIENCE
        while self.path(group).exists():
            self.kill(group)
            # A process that was on its way in, or one that just ended, can still keep a folder.
            if not all([_remove_empty(folder) for folder in self._folders(group)]):
                if time.monotonic() > until:
                    raise RigError(
                        f"the cgroup {self.path(group)} cannot be removed", "see what starts processes in it"
                    )
                time.sleep(0.01)
        for folder in self.path(group).parents:
            if folder == self.mount or not _remove_empty(folder):
                return

    def _folders(self, group: str) -> Iterator[Path]:
        """The folders of a group, the deepest first."""
        for folder, _, _ in os.walk(self.path(group), topdown=False):
            yield Path(folder)

    def _delegate(self, path: Path) -> None:
        if self.version == 2 and self.quotas:
            for folder in (*reversed(path.relative_to(self.mount).parents),):
                (self.mount / folder / "cgroup.subtree_control").write_text("+cpu")


def _bandwidth(cores: float | None) -> tuple[int, int]:
    """The period and the share of it that a quota is to the kernel, in microseconds; a share of -1: no quota."""
    if cores is None:
        return round(_PERIOD * 1e6), -1
    period = min(_LONGEST_PERIOD, max(_PERIOD, _LEAST_SHARE / cores))
    return round(period * 1e6), max(round(_LEAST_SHARE * 1e6), round(cores * period * 1e6))


def detect() -> Hierarchy | None:
    """The hierarchy to use: one with quotas, of version 1 or 2, else version 2 without; None where none is writable."""
    mounts = [line.split()[1:4] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for where, kind, options in mounts:
        if kind == "cgroup" and "cpu" in options.split(","):
            mount = Path(where)
            if _writable(mount):
                return Hierarchy(mount, 1)
    for where, kind, _ in mounts:
        if kind == "cgroup2" and _writable(Path(where)):
            return Hierarchy(Path(where), 2, _delegates_cpu(Path(where)))
    return None


def _writable(mount: Path) -> bool:
    try:
        (mount / _ROOM).mkdir(exist_ok=True)
    except OSError:
        return False
    _remove_empty(mount / _ROOM)
    return True


def _delegates_cpu(mount: Path) -> bool:
    if "cpu" not in (mount / "cgroup.controllers").read_text().split():
        return False
    try:
        (mount / "cgroup.subtree_control").write_text("+cpu")
    except OSError:
        return False  # the root of a container's cgroup namespace, with processes in it, cannot hand on a controller
    return True


def _remove_empty(folder: Path) -> bool:
    """Remove a group's folder unless something is in it; whether it is gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
