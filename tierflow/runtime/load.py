"""What else keeps a node's cores busy: the share that processes outside the fabric take.

The fabric's own work is known to whoever placed it and waits in queues, and a program that calls mostly waits for its
calls; what a database or a user's shell takes is not known. A sample costs a fraction of a millisecond: it reads
counters of the machine or the cgroup, the times of the fabric's own dozen of processes, and of other processes only
once whose children they are and what fabric they say they are of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil

from tierflow.runtime.limits import Quota, cpu_quota
from tierflow.runtime.settings import FABRIC
from tierflow.topology.column import Source, Value

__all__ = ["Load", "Steps"]

TICKS = os.sysconf("SC_CLK_TCK")
MOST = 0.99
"""The most that is said to be busy: the scheduler always leaves a fabric's process something."""
FORGET = 60
"""Samples after which every process is looked at again: process ids are used again."""
STEP = 0.1
"""How far the share must have moved to be told."""
DOUBT = 0.02


class Load:
    """Samples of the busy share of one node; each is of the time since the one before.

    Args:
        root: the process whose descendants, with it, are the fabric, beside those that bear its mark. None: the node's
            ``ray start``, found from this process, which is a worker of it.
        quota: the cgroup that the node is held in; None: this process's own.
    """

    def __init__(self, root: int | None = None, quota: Quota | None = None) -> None:
        self.quota = quota or cpu_quota()
        self.cores = self.quota.cores if self.quota else float(psutil.cpu_count() or 1)
        self._root = _root_of_fabric() if root is None else root
        self._ours: dict[int, bool] = {}
        self._samples = 0
        self._last: tuple[float, float] | None = None

    def sample(self) -> float | None:
        """The share (0 to 1) of the node's cores that others kept busy since the last sample; None at the first."""
        if self._samples % FORGET == 0:
            self._ours = {}
        self._samples += 1
        now, spent = monotonic(), self._others()
        last, self._last = self._last, (now, spent)
        if last is None or now <= last[0]:
            return None
        return min(max((spent - last[1]) / (now - last[0]) / self.cores, 0.0), MOST)

    def _others(self) -> float:
        """Seconds of CPU that processes outside the fabric have spent."""
        pids = list(_members(self.quota.folder) if self.quota else _all())
        self._look_at(pids)
        total = _spent_in(self.quota.folder) if self.quota else _spent_on_machine()
        if total is not None:
            return total - sum(_spent(pid) for pid in pids if self._ours[pid])
        return sum(_spent(pid) for pid in pids if not self._ours[pid])

    def _look_at(self, pids: list[int]) -> None:
        """Know of each process whether it is the fabric's."""
        here = set(pids)
        self._ours = {pid: ours for pid, ours in self._ours.items() if pid in here}
        for pid in pids:
            line = []
            while pid not in self._ours and pid != self._root and pid > 1:
                line.append(pid)
                pid = _parent(pid)
            ours = pid == self._root or self._ours.get(pid, False)
            if pid in here:
                self._ours[pid] = ours
            for below in reversed(line):
                ours = self._ours[below] = ours or _is_marked(below)


@dataclass(slots=True)
class Steps:
    """Which samples are worth a message: where the share stands apart from the last one told, twice in a row.

    So a steady node says nothing after the first time, and nothing of a burst of one sample. `told` is what the other
    side believes; None: it may believe anything, as after a restart.
    """

    told: float | None = None
    before: float | None = None

    def take(self, share: float) -> Value | None:
        """The share to tell now, with its deviation; None where there is nothing new."""
        before, self.before = self.before, share
        if before is None:
            return None
        if self.told is not None:
            if abs(share - self.told) <= STEP or abs(before - self.told) <= STEP:
                return None
            if (share > self.told) != (before > self.told):
                return None
        self.told = (share + before) / 2
        return Value(self.told, max(abs(share - before) / 2, DOUBT), Source.MEASURED)


def _root_of_fabric() -> int:
    """The parent of the raylet that started this worker: ``ray start``, whose children are also the head's services."""
    raylet = os.getppid()
    above = _parent(raylet)
    return above if above > 1 else raylet


def _all() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - a third of the time


def _members(folder: Path) -> Iterator[int]:
    """The processes of a cgroup and of those below it."""
    for where, _, _ in os.walk(folder):
        with suppress(OSError):
            yield from (int(pid) for pid in Path(where, "cgroup.procs").read_text().split())


def _stat(pid: int) -> list[bytes]:
    """The fields of ``/proc/PID/stat`` from the third on (proc(5)); none for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib doubles the cost
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _is_marked(pid: int) -> bool:
    """Whether a process was told by its environment what fabric it belongs to: a program that makes calls."""
    with suppress(OSError):
        return f"{FABRIC}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def _spent(pid: int) -> float:
    """Seconds of CPU of a process and of those of its children that have ended."""
    return sum(map(int, _stat(pid)[11:15])) / TICKS


def _spent_in(folder: Path) -> float | None:
    """Seconds of CPU of a cgroup; None where its kernel does not count them beside the quota."""
    with suppress(OSError):
        return int((folder / "cpuacct.usage").read_text()) / 1e9
    with suppress(OSError):
        for line in (folder / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec "):
                return int(line.split()[1]) / 1e6
    return None


def _spent_on_machine() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
