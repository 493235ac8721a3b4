"""Runs on a fabric of the rig, one for all of them: a plant of three nodes and a cloud, with Ray on each.

Records are put on the plant's nodes and applied in the cloud, over the rig's links; a program on a camera calls an
actor of its site and one in the cloud all the while. Wall clocks jump only for the processes of outboxes and inboxes:
hosts of the rig share the machine's clock.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console

from tests.chaos import roles
from tests.chaos.crew import Crew, Turn, turns
from tests.chaos.disks import Disk, disks
from tests.chaos.history import Answered, Called, Event, History, now, read
from tests.chaos.plan import Fault, Kind, Plan, Put, World
from tierflow.errors import FabricError
from tierflow.rig import Host, Rig
from tierflow.rig.enter import enter
from tierflow.runtime import launch
from tierflow.runtime.durable.database import sync_folder
from tierflow.runtime.record import FabricRecord, node_folder
from tierflow.runtime.view import view_file
from tierflow.topology import parse

__all__ = ["WORLD", "Fleet", "up"]

ROOT = Path(__file__).parents[2]
CLUSTER = """
name: chaos
hosts: rig
nodes:
  - {name: cloud-1, tier: cloud, site: region-1, cpus: 2, cpu_quota: 0.6}
  - {name: gw-1, tier: edge, site: plant-1, cpus: 2, cpu_quota: 0.5}
  - {name: cam-1, tier: device, site: plant-1, cpu_quota: 0.35}
  - {name: cam-2, tier: device, site: plant-1, cpu_quota: 0.35}
links:
  - {from: cam-1, to: plant-1, rate: 50 Mbit/s, delay: 3 ms}
  - {from: cam-2, to: plant-1, rate: 50 Mbit/s, delay: 3 ms}
  - {from: plant-1, to: region-1, rate: 20 Mbit/s, delay: 10 ms}
"""
SENDERS, RECEIVER, CALLER = ("cam-1", "cam-2", "gw-1"), "cloud-1", "cam-1"
NODES = (*SENDERS, RECEIVER)
UPLINK, INSIDE = "plant-1<->region-1", ("cam-1<->plant-1", "cam-2<->plant-1")
RATE = {UPLINK: 2.5e6} | dict.fromkeys(INSIDE, 6.25e6)
DELAY = {UPLINK: 0.010} | dict.fromkeys(INSIDE, 0.003)
_ROLES = ("writer", "sender", "receiver")

_TARGETS: dict[Kind, tuple[str, ...]] = {
    "cut": (UPLINK, "cam-1", "cam-2", "gw-1"),
    "one way": ("plant-1->region-1", "region-1->plant-1", "cam-2->plant-1", "plant-1->cam-1"),
    "flap": (UPLINK, "cam-2"),
    "loss": (UPLINK, *INSIDE),
    "slow": (UPLINK, *INSIDE),
    "kill": ("worker gw-1", "worker cloud-1", "agent gw-1", "agent cam-2", "raylet gw-1", "raylet cam-2",
             "gcs cloud-1", "writer cam-1", "sender cam-1", "sender cam-2", "receiver cloud-1"),
    "pause": ("worker gw-1", "raylet cam-2", "gcs cloud-1", "sender gw-1", "receiver cloud-1"),
    "power": ("cam-2", "gw-1", "cloud-1"),
    "full": ("cam-1", "cam-2", "cloud-1"),
    "clock": NODES,
}  # fmt: skip
WORLD = World(
    writers=dict.fromkeys(SENDERS, 1),
    targets=_TARGETS,
    weight={"cut": 3.0, "kill": 3.0, "one way": 2.0, "power": 0.7, "clock": 0.5},
    span=3.0,
    longest=5.0,
    puts=60,
    faults=4,
)
NEAR = {"cam-1", "gw-1", *INSIDE[:1], "plant-1->cam-1"}
"""What a call from the camera to the model of its site rests on."""
PORT = 7070
SPEED = 5.0
CONVERGE = 120.0
"""Seconds after the last fault in which all must be as before."""

_NAMES = {"raylet": "raylet", "gcs": "gcs_server"}
_TITLES = {"worker": ("ray::Model", "ray::Clerk"), "agent": ("ray::Agent",)}


class Fleet:
    """The fabric, its nodes' disks, and the program that calls."""

    def __init__(self, record: FabricRecord, made: Mapping[str, Disk], place: Path) -> None:
        self.record, self.disks, self.rig = record, made, Rig.attach(record.rig)
        self._fifo = place / "caller"
        os.mkfifo(self._fifo)
        self._told = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK)
        self._caller: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self.calls: dict[str, Called] = {}
        self.answers: list[Answered] = []
        self._log = (place / "caller.log").open("ab")
        self._program("make").wait(120)
        self.prove()

    def processes(self, node: str, kind: str) -> list[psutil.Process]:
        """The processes of Ray on a node that are of this kind."""
        found = []
        for pid in (self.rig.hosts[node].cgroup / "cgroup.procs").read_text().split():
            with suppress(psutil.Error):
                process = psutil.Process(int(pid))
                title = " ".join(process.cmdline()[:1])
                if process.name() == _NAMES.get(kind) or any(word in title for word in _TITLES.get(kind, ())):
                    found.append(process)
        return found

    def prove(self) -> None:
        """Whether every fault would find whom it is to hit. Raises `AssertionError`."""
        for target in {*_TARGETS["kill"], *_TARGETS["pause"]}:
            role, _, node = target.partition(" ")
            assert role in _ROLES or self.processes(node, role), f"nobody is {target}"

    def close(self) -> None:
        """End the program."""
        if self._caller is not None:
            self._caller.kill()
            self._caller.wait()
        os.close(self._told)
        self._log.close()

    def _program(self, what: str) -> subprocess.Popen[bytes]:
        environment = launch.driver_environment(self.record, CALLER) | {"PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-m", "tests.chaos.caller", what, str(self._fifo)]
        return self.rig.hosts[CALLER].popen(argv, env=environment, cwd=ROOT, stdout=self._log, stderr=self._log)

    def hear(self) -> None:
        """Take what the caller told; start him again where he has ended, as a service manager would."""
        with suppress(BlockingIOError):
            while part := os.read(self._told, 1 << 16):
                whole, _, self._rest = (self._rest + part).rpartition(b"\n")
                for event in read(whole.decode() + "\n") if whole else []:
                    if isinstance(event, Called):
                        self.calls[event.id] = event
                    elif isinstance(event, Answered):
                        self.answers.append(event)
        if self._caller is not None and self._caller.poll() is not None:
            answered = {answer.id for answer in self.answers}  # what went with him has nobody to wait for it
            self.calls = {name: made for name, made in self.calls.items() if name in answered}
            self._caller = None
        if self._caller is None:
            self._caller = self._program("call")

    def whole(self) -> str:
        """What is not yet as it was before any fault; empty if all is."""
        for name in NODES:
            view = view_file(node_folder(Path(self.record.state), name))
            with suppress(OSError, ValueError):
                if cut := json.loads(view.read_text())["cut"]:
                    return f"{name} sees {', '.join(cut)} as cut off"
        try:
            alive = {member.name for member in self.record.head_interface().members(timeout=5) if member.alive}
        except FabricError:
            return "the head does not answer"
        return f"{', '.join(sorted(set(NODES) - alive))} are no members" if set(NODES) - alive else ""

    def run(self, plan: Plan) -> tuple[History, list[str]]:
        """Live through a plan; the history, and what went wrong that no history shows."""
        run = _Run(self, plan)
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
        self.off: Counter[str] = Counter()
        for node in NODES:
            shutil.rmtree(self._folder(node), ignore_errors=True)
            self._folder(node).mkdir()
            sync_folder(self._folder(node).parent)

    def start(self) -> None:
        """Let the records come."""
        self._add(RECEIVER, "receiver", roles.receive)
        for node in SENDERS:
            self._add(node, "sender", partial(_send, self.plan.seed))
        for (node, number), puts in self.plan.puts.items():
            self._add(node, "writer", partial(self._write, f"{node}/{number}", puts))

    def _folder(self, node: str) -> Path:
        return self.fleet.disks[node].folder / "run"

    def _add(self, node: str, role: str, work: Callable[[roles.Place], None]) -> None:
        receiver = f"{self.rig.hosts[RECEIVER].address}:{PORT}"
        at = roles.Place(node, self._folder(node), receiver, self.links, self.crew.told, SPEED)
        self.crew.add(node, role, partial(_inside, self.rig.hosts[node], work, at))

    def _write(self, name: str, puts: Sequence[Put], at: roles.Place) -> None:
        roles.write(at, name, puts, self.crew.tried(name), self.crew.began)

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
            case "kill" if role in _ROLES:
                self.crew.kill(node, role)
                self.crew.down[target] += 1
            case "kill":
                for process in self.fleet.processes(node, role):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            case "pause" if role in _ROLES:
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
            case "kill" if role in _ROLES:
                self.crew.down[target] -= 1
            case "pause" if role in _ROLES:
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
        crew = self.crew
        if not crew.all_done(crew.of("writer"), CONVERGE):
            crew.troubles.append(f"waits: writers are not done {CONVERGE:g} s after the last fault")
        for node in SENDERS:
            self.links.set(node, "finish", 1.0)
        if not crew.all_done(crew.of("sender"), CONVERGE):
            crew.troubles.append(f"waits: outboxes are not empty {CONVERGE:g} s after the last fault")
        crew.troubles += self.settled("after the last fault")
        crew.kill(RECEIVER)
        self.fleet.disks[RECEIVER].lose_power()
        crew.processes.clear()
        self._add(RECEIVER, "reader", roles.read)
        if not crew.all_done(crew.processes, CONVERGE):
            crew.troubles.append("hangs: the inbox cannot be read")
        return [*crew.history, *self._called()]

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


def _inside(host: Host, work: Callable[[roles.Place], None], at: roles.Place) -> None:
    enter(str(host.cgroup), str(host.namespace))
    work(at)


def _send(seed: int, at: roles.Place) -> None:
    roles.send(at, seed)


def _answered(fleet: Fleet, since: float) -> set[str]:
    """Who has answered calls that were made since."""
    return {
        answer.id.partition("/")[0]
        for answer in fleet.answers
        if not answer.error and answer.id in fleet.calls and fleet.calls[answer.id].at >= since
    }


@contextmanager
def up(console: Console) -> Iterator[Fleet]:
    """The fabric, and all that belongs to it; gone at the end."""
    with disks(NODES) as made, tempfile.TemporaryDirectory() as place:
        os.environ |= {"TIERFLOW_CACHE": place}
        os.environ.setdefault("TIERFLOW_STATE", f"/tmp/tf-chaos-{os.getpid()}")
        with console.status("starting the fabric") as status, socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
            probe.close()
            record = launch.up(
                parse(CLUSTER), port=port, progress=lambda name, what: status.update(f"the fabric: {name} {what}")
            )
        try:
            fleet = Fleet(record, made, Path(place))
            try:
                yield fleet
            finally:
                fleet.close()
        finally:
            with console.status("taking down the fabric"):
                launch.down(record)
