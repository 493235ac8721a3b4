"""A run without Ray: two nodes with outboxes that follow a model, and one with an inbox that publishes it.

Each has real processes and a disk of its own.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.chaos import roles
from tests.chaos.crew import Crew, Turn, turns
from tests.chaos.disks import Disk
from tests.chaos.history import History, Published
from tests.chaos.plan import Fault, Kind, Plan, Put, World
from tierflow.runtime.durable.database import sync_folder

__all__ = ["NODES", "WORLD", "run"]

SENDERS, RECEIVER = ("a", "b"), "z"
NODES = (*SENDERS, RECEIVER)
WRITERS = 2

_TARGETS: dict[Kind, tuple[str, ...]] = {
    "cut": SENDERS,
    "one way": SENDERS,
    "flap": SENDERS,
    "loss": SENDERS,
    "slow": SENDERS,
    "kill": ("writer a", "writer b", "sender a", "sender b", "receiver z", "publisher z", "follower a", "follower b"),
    "pause": ("writer a", "sender a", "sender b", "receiver z"),
    "power": NODES,
    "full": NODES,
    "clock": NODES,
}
WORLD = World(
    writers=dict.fromkeys(SENDERS, WRITERS),
    targets=_TARGETS,
    weight={"kill": 3.0, "power": 3.0, "one way": 2.0},
    span=0.12,
    longest=0.08,
    puts=16,
    faults=7,
    versions=14,
)
CONVERGE = 20.0
"""Seconds after the last fault in which all must have settled."""


class _Run:
    def __init__(self, plan: Plan, disks: Mapping[str, Disk], place: Path) -> None:
        self.plan, self.disks, self.place = plan, disks, place
        self.crew, self.links = Crew(), roles.Links(NODES)
        for node in NODES:
            shutil.rmtree(self._folder(node), ignore_errors=True)
            self._folder(node).mkdir()
            sync_folder(self._folder(node).parent)
        self.crew.add(RECEIVER, "receiver", partial(roles.receive, self._at(RECEIVER)))
        self.crew.add(RECEIVER, "publisher", self._publish)
        for node in SENDERS:
            self.crew.add(node, "sender", partial(roles.send, self._at(node), plan.seed))
            self.crew.add(node, "follower", partial(roles.follow, self._at(node), plan.seed))
        for (node, number), puts in plan.puts.items():
            self.crew.add(node, "writer", partial(self._write, node, f"{node}/{number}", puts))

    def _folder(self, node: str) -> Path:
        return self.disks[node].folder / "run"

    def _at(self, node: str) -> roles.Place:
        folder, path = self._folder(node), str(self.place / "receiver.socket")
        return roles.Place(node, folder / "outbox", folder / "inbox", path, self.links, self.crew.told)

    def _write(self, node: str, name: str, puts: Sequence[Put]) -> None:
        at = self._at(node)
        roles.write(at, roles.opened(at.store), name, puts, self.crew.tried(name), self.crew.began)

    def _publish(self) -> None:
        done = sum(isinstance(event, Published) for event in self.crew.history)
        roles.publish(self._at(RECEIVER), self.plan.versions, done, self.crew.began)

    def hit(self, fault: Fault) -> None:
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
                self.crew.kill(node, role)
                self.crew.down[fault.target] += 1
            case "power":
                self.crew.kill(node)
                self.crew.down[node] += 1
                self.disks[node].lose_power()
            case "pause":
                self.crew.signal(fault.target, signal.SIGSTOP)
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
                self.crew.down[fault.target] -= 1
            case "pause":
                self.crew.signal(fault.target, signal.SIGCONT)
            case "full":
                self.disks[fault.target].clear()
            case "clock":
                pass

    def turns(self) -> list[Turn]:
        return [
            turn
            for fault in self.plan.faults
            for turn in turns(
                fault.at,
                fault.lasts,
                4 if fault.kind == "flap" else 1,
                partial(self.hit, fault),
                partial(self.undo, fault),
            )
        ]

    def settle(self) -> None:
        """Wait until all is quiet; then the receiver loses its power a last time, and what it holds is told."""
        crew = self.crew
        if not crew.all_done(crew.of("writer", "publisher"), CONVERGE):
            crew.troubles.append(f"waits: writers are not done {CONVERGE:g} s after the last fault")
        for node in SENDERS:
            self.links.set(node, "finish", 1.0)
        for role, wrong in (("sender", "waits: outboxes are not empty"), ("follower", "behind: followers are still")):
            if not crew.all_done(crew.of(role), CONVERGE):
                crew.troubles.append(f"{wrong} {CONVERGE:g} s after the last fault")
        for node in NODES:
            crew.kill(node)
        self.disks[RECEIVER].lose_power()
        crew.processes.clear()
        if not crew.all_done([crew.add(RECEIVER, "reader", partial(roles.read, self._at(RECEIVER)))], CONVERGE):
            crew.troubles.append("hangs: the inbox cannot be read")


def run(plan: Plan, disks: Mapping[str, Disk], place: Path) -> tuple[History, list[str]]:
    """Live through a plan; the history, and what went wrong that no history shows."""
    run = _Run(plan, disks, place)
    try:
        run.crew.live(run.turns())
        run.settle()
        return run.crew.history, run.crew.troubles
    finally:
        run.crew.close()
        for disk in disks.values():
            disk.clear()
