"""A run without Ray: two nodes with outboxes and one with an inbox, each a disk of its own and real processes."""

from __future__ import annotations

import os
import select
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.chaos import roles
from tests.chaos.disks import Disk
from tests.chaos.history import History, Tried, now, read
from tests.chaos.plan import Fault, Kind, Plan, World
from tierflow.runtime.durable.database import sync_folder

__all__ = ["NODES", "WORLD", "run"]

SENDERS, RECEIVER = ("a", "b"), "z"
NODES = (*SENDERS, RECEIVER)
WRITERS = 2

_HIT: dict[Kind, tuple[str, ...]] = {
    "cut": SENDERS,
    "one way": SENDERS,
    "flap": SENDERS,
    "loss": SENDERS,
    "slow": SENDERS,
    "kill": ("writer a", "writer b", "sender a", "sender b", "receiver z"),
    "pause": ("writer a", "sender a", "sender b", "receiver z"),
    "power": NODES,
    "full": NODES,
    "clock": NODES,
}
WORLD = World(
    writers=dict.fromkeys(SENDERS, WRITERS),
    targets=_HIT,
    weight={"kill": 3.0, "power": 3.0, "one way": 2.0},
    span=0.12,
    longest=0.08,
    puts=16,
    faults=7,
)
CONVERGE = 20.0
"""Seconds after the last fault in which all must have settled."""


@dataclass
class Process:
    """Somebody who is started again whenever he ends before his work is done."""

    node: str
    role: str
    work: Callable[[], None]
    pid: int | None = None
    done: bool = False


@dataclass
class Run:
    """One run under way."""

    plan: Plan
    disks: Mapping[str, Disk]
    place: Path
    began: float = 0.0
    history: History = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    down: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.links = roles.Links(NODES)
        self._read, self._told = os.pipe()
        os.set_blocking(self._read, False)
        self._rest = b""

    def at(self, node: str) -> roles.Place:
        return roles.Place(node, self._folder(node), self.place / "receiver.socket", self.links, self._told)

    def _folder(self, node: str) -> Path:
        return self.disks[node].folder / "run"

    def begin(self) -> None:
        for node in NODES:
            shutil.rmtree(self._folder(node), ignore_errors=True)
            self._folder(node).mkdir()
            sync_folder(self._folder(node).parent)
        self.processes.append(Process(RECEIVER, "receiver", partial(roles.receive, self.at(RECEIVER))))
        for node in SENDERS:
            self.processes.append(Process(node, "sender", partial(roles.send, self.at(node), self.plan.seed)))
        for (node, number), puts in self.plan.puts.items():
            name = f"{node}/{number}"
            self.processes.append(Process(node, "writer", partial(self._write, node, name, puts)))
        self.began = now()

    def _write(self, node: str, name: str, puts: tuple) -> None:  # type: ignore[type-arg]
        done = sum(isinstance(event, Tried) and event.id.startswith(f"{name}/") for event in self.history)
        roles.write(self.at(node), name, puts, done, self.began)

    def tend(self) -> None:
        """Hear what was told, see who ended, and start who is to run."""
        self.hear()
        for process in self.processes:
            if process.pid is not None:
                pid, status = os.waitpid(process.pid, os.WNOHANG)
                if pid:
                    process.pid, process.done = None, status == 0
                    if os.WIFEXITED(status) and status:
                        self.troubles.append(f"the {process.role} of {process.node} failed; see its traceback")
                        process.done = True
                    self.hear()
            elif not process.done and not self.down[process.node] and not self.down[f"{process.role} {process.node}"]:
                process.pid = self._fork(process.work)

    def _fork(self, work: Callable[[], None]) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def hear(self) -> None:
        with suppress(BlockingIOError):
            while part := os.read(self._read, 1 << 16):
                whole, _, self._rest = (self._rest + part).rpartition(b"\n")
                self.history += read(whole.decode() + "\n") if whole else []

    def kill(self, node: str, role: str | None = None) -> None:
        for process in self.processes:
            if process.node == node and role in (None, process.role) and process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)
                os.waitpid(process.pid, 0)
                process.pid = None
        self.hear()

    def signal(self, target: str, number: int) -> None:
        role, _, node = target.partition(" ")
        for process in self.processes:
            if (process.role, process.node) == (role, node) and process.pid is not None:
                os.kill(process.pid, number)

    def hit(self, fault: Fault) -> None:
        """Let a fault begin."""
        role, _, node = fault.target.rpartition(" ")
        match fault.kind:
            case "cut" | "flap":
                self.links.set(node, "cut", 1.0)
                self.links.set(node, "known", float(fault.amount > 0.5))
            case "one way":
                self.links.set(node, "silent", 1.0)
            case "loss":
                self.links.set(node, "loss", 0.9 * fault.amount)
            case "slow":
                self.links.set(node, "delay", 0.03 * fault.amount)
            case "kill":
                self.kill(node, role)
                self.down[fault.target] += 1
            case "power":
                self.kill(node)
                self.down[node] += 1
                self.disks[node].lose_power()
            case "pause":
                self.signal(fault.target, signal.SIGSTOP)
            case "full":
                self.disks[node].fill()
            case "clock":
                self.links.set(node, "clock", (fault.amount - 0.5) * 2e6)

    def undo(self, fault: Fault) -> None:
        """Let it be over; what a clock was put to stays."""
        match fault.kind:
            case "cut" | "flap":
                self.links.set(fault.target, "cut", 0.0)
                self.links.set(fault.target, "known", 0.0)
            case "one way":
                self.links.set(fault.target, "silent", 0.0)
            case "loss" | "slow":
                self.links.set(fault.target, "loss" if fault.kind == "loss" else "delay", 0.0)
            case "kill" | "power":
                self.down[fault.target] -= 1
            case "pause":
                self.signal(fault.target, signal.SIGCONT)
            case "full":
                self.disks[fault.target].clear()
            case "clock":
                pass

    def wait(self, seconds: float) -> None:
        select.select([self._read], [], [], max(seconds, 0.0))

    def through_the_faults(self) -> None:
        """Live until the last fault is over."""
        turns = sorted(
            (turn for fault in self.plan.faults for turn in _turns(fault, self)), key=lambda turn: turn[0], reverse=True
        )
        while turns:
            self.tend()
            if now() - self.began >= turns[-1][0]:
                turns.pop()[1]()
            else:
                self.wait(min(turns[-1][0] - (now() - self.began), 0.01))

    def to_the_end(self) -> None:
        """Wait until all has settled; then the receiver loses its power a last time, and what it holds is told."""
        writers = [process for process in self.processes if process.role == "writer"]
        senders = [process for process in self.processes if process.role == "sender"]
        if self._all_done(writers, CONVERGE):
            for node in SENDERS:
                self.links.set(node, "finish", 1.0)
            if not self._all_done(senders, CONVERGE):
                self.troubles.append(f"waits: outboxes are not empty {CONVERGE:g} s after the last fault")
        else:
            self.troubles.append(f"waits: writers are not done {CONVERGE:g} s after the last fault")
        for node in NODES:
            self.kill(node)
        self.disks[RECEIVER].lose_power()
        self.processes = [Process(RECEIVER, "reader", partial(roles.read, self.at(RECEIVER)))]
        if not self._all_done(self.processes, CONVERGE):
            self.troubles.append("hangs: the inbox cannot be read")

    def _all_done(self, processes: list[Process], within: float) -> bool:
        until = now() + within
        while not all(process.done for process in processes):
            if now() > until:
                return False
            self.wait(0.003)
            self.tend()
        return True

    def close(self) -> None:
        for node in NODES:
            self.kill(node)
            self.disks[node].clear()
        os.close(self._read)
        os.close(self._told)


def run(plan: Plan, disks: Mapping[str, Disk], place: Path) -> tuple[History, list[str]]:
    """Live through a plan; the history, and what went wrong that no history shows."""
    run = Run(plan, disks, place)
    try:
        run.begin()
        run.through_the_faults()
        run.to_the_end()
        return run.history, run.troubles
    finally:
        run.close()


def _turns(fault: Fault, run: Run) -> list[tuple[float, Callable[[], None]]]:
    """When a fault begins and ends; one that flaps does several times."""
    times = 4 if fault.kind == "flap" else 1
    turns: list[tuple[float, Callable[[], None]]] = []
    for turn in range(times):
        at = fault.at + turn * fault.lasts / times
        turns.append((at, partial(run.hit, fault)))
        turns.append((at + fault.lasts / times * (0.5 if times > 1 else 1.0), partial(run.undo, fault)))
    return turns
