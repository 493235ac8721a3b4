"""One run on a fabric: its faults, its records, and what came of all.

Records are put into `tierflow.Outbox` on the plant's nodes and applied by `tierflow.Inbox` in the cloud. Wall clocks
jump only for the processes that put records: hosts of the rig share the machine's clock.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil

import tierflow
import tierflow.exchange  # so that processes that are forked need not load it
from tests.chaos import roles
from tests.chaos.crew import Crew, Turn, turns
from tests.chaos.fleet import CONVERGE, DELAY, INSIDE, NEAR, NODES, RATE, RECEIVER, SENDERS, UPLINK, Fleet
from tests.chaos.history import Applied, Event, History, now
from tests.chaos.plan import Fault, Plan, Put
from tierflow.rig import Host
from tierflow.rig.enter import enter
from tierflow.runtime import launch
from tierflow.runtime.boxes import inbox_folder, outbox_folder
from tierflow.runtime.settings import NODE_FOLDER

__all__ = ["run"]


def run(fleet: Fleet, plan: Plan) -> tuple[History, list[str]]:
    """Live through a plan; the history, and what went wrong that no history shows."""
    run = _Run(fleet, plan)
    try:
        troubles = run.settled("before any fault")
        run.crew.began = now()
        run.crew.live(run.turns())
        return run.end(), [*troubles, *run.crew.troubles]
    finally:
        run.heal()
        run.crew.close()


class _Run:
    def __init__(self, fleet: Fleet, plan: Plan) -> None:
        self.fleet, self.plan, self.rig = fleet, plan, fleet.rig
        self.crew, self.links = _Crew(fleet.hear), roles.Links(NODES)
        self.paused: dict[str, list[psutil.Process]] = {}
        fleet.runs += 1

    def start(self) -> None:
        """Let the records come."""
        for (node, number), puts in self.plan.puts.items():
            name = f"{self.fleet.runs}.{node}/{number}"
            self._add(node, "writer", partial(self._write, name, puts))
        for node in SENDERS:
            self._add(node, "follower", roles.watch)

    def _add(self, node: str, role: str, work: Callable[[roles.Place], None]) -> None:
        folder = self.fleet.folder(node)
        at = roles.Place(
            node, outbox_folder(folder, roles.BOX), inbox_folder(folder, roles.BOX), "", self.links, self.crew.told
        )
        self.crew.add(node, role, partial(_inside, self.rig.hosts[node], folder, work, at))

    def _write(self, name: str, puts: Sequence[Put], at: roles.Place) -> None:
        box = tierflow.Outbox(roles.BOX, when_full="refuse")
        roles.write(at, box, name, puts, self.crew.tried(name), self.crew.began)

    def turns(self) -> list[Turn]:
        self.start()
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

    def hit(self, fault: Fault) -> None:
        target, (role, _, node) = fault.target, fault.target.rpartition(" ")
        match fault.kind:
            case "cut" | "flap" | "one way":
                self.rig.cut(target)
            case "loss":
                self.rig.set(target, loss=0.5 * fault.amount)
            case "slow":
                self.rig.set(target, rate=RATE[target] / (2 + 30 * fault.amount), delay=DELAY[target] * 10)
            case "kill" if role == "writer":
                self.crew.kill(node, role)
                self.crew.down[target] += 1
            case "kill":
                for process in self.fleet.processes(node, role):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            case "pause" if role == "writer":
                self.crew.signal(target, signal.SIGSTOP)
            case "pause":
                self.paused[target] = self.fleet.processes(node, role)
                self._signal(target, signal.SIGSTOP)
            case "power":
                self.crew.kill(node)
                self.crew.down[node] += 1
                self.rig.kill(node)
                self.fleet.disks[node].lose_power()
            case "full":
                self.fleet.disks[node].fill()
            case "clock":
                self.links.set(node, "clock", (fault.amount - 0.5) * 2e6)

    def undo(self, fault: Fault) -> None:
        target, (role, _, node) = fault.target, fault.target.rpartition(" ")
        match fault.kind:
            case "cut" | "flap" | "one way":
                self.rig.heal(target)
            case "loss":
                self.rig.set(target, loss=0.0)
            case "slow":
                self.rig.set(target, rate=RATE[target], delay=DELAY[target])
            case "kill" if role == "writer":
                self.crew.down[target] -= 1
            case "pause" if role == "writer":
                self.crew.signal(target, signal.SIGCONT)
            case "pause":
                self._signal(target, signal.SIGCONT)
            case "power":
                self.crew.down[node] -= 1
                self._boot(node)
            case "full":
                self.fleet.disks[node].clear()
            case "kill" | "clock":
                pass

    def _boot(self, node: str) -> None:
        if not self.crew.down[node] and not launch.is_watched(self.fleet.record, node):
            self.fleet.record = launch.boot(self.fleet.record, node)

    def _signal(self, target: str, number: int) -> None:
        for process in self.paused.get(target, ()):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def settled(self, when: str) -> list[str]:
        """Wait until nodes, views and calls are as before any fault; what is not, as a sentence."""
        if not self.crew.until(lambda: not self.fleet.whole(), CONVERGE, every=0.2):
            return [f"waits: {self.fleet.whole()} {CONVERGE:g} s {when}"]
        since = now()
        if not self.crew.until(lambda: _answered(self.fleet, since) == {"model", "clerk"}, CONVERGE, every=0.1):
            missing = {"model", "clerk"} - _answered(self.fleet, since)
            return [f"waits: {', '.join(sorted(missing))} did not answer the camera {CONVERGE:g} s {when}"]
        return []

    def end(self) -> History:
        """Wait until all has converged; the whole history."""
        crew, fleet = self.crew, self.fleet
        if not crew.all_done(crew.of("writer"), CONVERGE):
            crew.troubles.append(f"waits: writers are not done {CONVERGE:g} s after the last fault")
        for node in SENDERS:
            self._add(node, "drained", roles.drained)
        if not crew.all_done(crew.of("drained"), CONVERGE):
            crew.troubles.append(f"waits: outboxes are not empty {CONVERGE:g} s after the last fault")
        crew.troubles += self.settled("after the last fault")
        latest = max((made.version for made in fleet.published), default=1)
        for node in SENDERS:
            self.links.set(node, "finish", latest)
        if not crew.all_done(crew.of("follower"), CONVERGE):
            crew.troubles.append(
                f"waits: not all that follow have version {latest} {CONVERGE:g} s after it was published"
            )
        for receiver in fleet.processes(RECEIVER, "receiver"):  # Ray starts it again, but not at once
            receiver.kill()
            receiver.wait()
        fleet.disks[RECEIVER].lose_power()
        crew.processes.clear()
        self._add(RECEIVER, "reader", partial(roles.read, after=fleet.applied))
        if not crew.all_done(crew.processes, CONVERGE):
            crew.troubles.append("hangs: the inbox cannot be read")
        fleet.applied = max([fleet.applied, *(e.number for e in crew.history if isinstance(e, Applied))])
        return [*self._published(latest), *crew.history, *self._called()]

    def _published(self, latest: int) -> list[Event]:
        return [made for made in self.fleet.published if made.at >= self.crew.began and made.version <= latest]

    def _called(self) -> list[Event]:
        """The calls that ended in this run; of those in the site, which had to be answered."""
        inner = (self.crew.began + fault.at for fault in self.plan.faults if fault.target.rpartition(" ")[2] in NEAR)
        until = min((at for at in inner), default=float("inf"))
        fleet, events = self.fleet, list[Event]()
        for answer in fleet.answers:
            made = fleet.calls.pop(answer.id, None)
            if made is not None and made.at >= self.crew.began:
                near = made.id.startswith("model/")
                events += [replace(made, must=near and answer.at < until), answer]
        fleet.answers.clear()
        return events

    def heal(self) -> None:
        """Undo whatever is left."""
        for target in (UPLINK, *INSIDE, *NODES):
            self.rig.heal(target)
        for target in RATE:
            self.rig.set(target, rate=RATE[target], delay=DELAY[target], loss=0.0)
        for target in self.paused:
            self._signal(target, signal.SIGCONT)
        self.crew.down.clear()
        for node in NODES:
            self.fleet.disks[node].clear()
            self._boot(node)


class _Crew(Crew):
    """A crew beside which the program that calls is heard."""

    def __init__(self, beside: Callable[[], None]) -> None:
        super().__init__()
        self._beside = beside

    def tend(self) -> None:
        super().tend()
        self._beside()


def _inside(host: Host, folder: Path, work: Callable[[roles.Place], None], at: roles.Place) -> None:
    enter(str(host.cgroup), str(host.namespace))
    os.environ[NODE_FOLDER] = str(folder)
    work(at)


def _answered(fleet: Fleet, since: float) -> set[str]:
    """Who has answered calls that were made since."""
    return {
        answer.id.partition("/")[0]
        for answer in fleet.answers
        if not answer.error and answer.id in fleet.calls and fleet.calls[answer.id].at >= since
    }
