"""Runs on a fabric of the rig, one for all of them: a plant of three nodes and a cloud, with Ray on each.

Records are put into `tierflow.Outbox` on the plant's nodes and applied by `tierflow.Inbox` in the cloud; a program on a
camera calls an actor of its site and one in the cloud all the while, and publishes versions, which the plant's nodes
follow. Wall clocks jump only for the processes that put records: hosts of the rig share the machine's clock.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from rich.console import Console

from tests.chaos import roles
from tests.chaos.disks import Disk, disks
from tests.chaos.history import Answered, Called, Published, now, read
from tests.chaos.plan import Kind, World
from tierflow.errors import FabricError
from tierflow.rig import Rig
from tierflow.runtime import launch
from tierflow.runtime.boxes import followed_folder, outbox_folder
from tierflow.runtime.durable.database import sync_folder
from tierflow.runtime.durable.outbox import OutboxStore
from tierflow.runtime.durable.versions import VersionStore
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

_TARGETS: dict[Kind, tuple[str, ...]] = {
    "cut": (UPLINK, "cam-1", "cam-2", "gw-1"),
    "one way": ("plant-1->region-1", "region-1->plant-1", "cam-2->plant-1", "plant-1->cam-1"),
    "flap": (UPLINK, "cam-2"),
    "loss": (UPLINK, *INSIDE),
    "slow": (UPLINK, *INSIDE),
    "kill": ("worker gw-1", "worker cloud-1", "agent gw-1", "agent cam-2", "raylet gw-1", "raylet cam-2",
             "gcs cloud-1", "writer cam-1", "sender cam-1", "sender cam-2", "receiver cloud-1", "publisher cloud-1",
             "follower gw-1", "follower cam-2"),
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
CONVERGE = 120.0
"""Seconds after the last fault in which all must be as before."""

_NAMES = {"raylet": "raylet", "gcs": "gcs_server"}
_TITLES = {
    "worker": ("Model", "Clerk"),
    "agent": ("ray::Agent",),
    "sender": ("ray::Sender",),
    "receiver": ("ray::Receiver",),
    "publisher": ("ray::Publisher",),
    "follower": ("ray::Follower",),
}


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
        self.published: list[Published] = []
        self._log = (place / "caller.log").open("ab")
        self.runs, self.applied = 0, 0
        self._on_disks()
        if self._program("make").wait(120):
            raise FabricError("the actors cannot be made", (place / "caller.log").read_text()[-2000:])
        self._prove()

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

    def _prove(self) -> None:
        """Wait until every fault would find whom it is to hit. Raises `AssertionError`."""
        until = now() + CONVERGE
        for target in {*_TARGETS["kill"], *_TARGETS["pause"]}:
            role, _, node = target.partition(" ")
            while role != "writer" and not self.processes(node, role):
                assert now() < until, f"nobody is {target}"
                time.sleep(0.2)

    def _on_disks(self) -> None:
        """Let each node's outboxes, inboxes and versions be on its own disk."""
        for node in NODES:
            self.folder(node).mkdir(parents=True, exist_ok=True)
            for kind in ("outbox", "inbox", "published", "followed"):
                (self.disks[node].folder / kind).mkdir()
                sync_folder(self.disks[node].folder)
                (self.folder(node) / kind).symlink_to(self.disks[node].folder / kind)
        for node in SENDERS:
            OutboxStore(outbox_folder(self.folder(node), roles.BOX)).close()
            VersionStore(followed_folder(self.folder(node), roles.MODEL))

    def folder(self, node: str) -> Path:
        """Where a node keeps what is its own."""
        return node_folder(Path(self.record.state), node)

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
                    elif isinstance(event, Published):
                        self.published.append(event)
        if self._caller is not None and self._caller.poll() is not None:
            answered = {answer.id for answer in self.answers}  # what went with him has nobody to wait for it
            self.calls = {name: made for name, made in self.calls.items() if name in answered}
            self._caller = None
        if self._caller is None:
            self._caller = self._program("call")

    def whole(self) -> str:
        """What is not yet as it was before any fault; empty if all is."""
        for name in NODES:
            view = view_file(self.folder(name))
            with suppress(OSError, ValueError):
                if cut := json.loads(view.read_text())["cut"]:
                    return f"{name} sees {', '.join(cut)} as cut off"
        try:
            alive = {member.name for member in self.record.head_interface().members(timeout=5) if member.alive}
        except FabricError:
            return "the head does not answer"
        return f"{', '.join(sorted(set(NODES) - alive))} are no members" if set(NODES) - alive else ""


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
