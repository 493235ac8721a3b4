"""A device that is no Ray node, on a wire of its own to the edge node: through a cut and a crash all arrives, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fabric.conftest import ROOT, Driver
from tierflow.rig import Rig
from tierflow.runtime.record import FabricRecord, node_folder
from tierflow.runtime.settings import FABRIC

pytestmark = pytest.mark.namespace

UPLINK = "plant-1<->region-1"
OPENS = """
    import tierflow
    tierflow.Inbox("readings").read()
    print("RESULT", tierflow.publish("model", b"hello device"))
"""
READS = """
    import json, time, tierflow
    inbox = tierflow.Inbox("readings")
    until = time.monotonic() + 40
    while len(inbox.read()) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(1)
    print("RESULT" + json.dumps([(r.source, r.key, r.value.shape) for r in inbox.read()]))
"""


@pytest.fixture
def device(rig: Rig) -> Iterator[str]:
    """A network namespace with one wire, to gw-1; the namespace's name."""
    name, edge = f"device-{os.getpid()}", rig.hosts["gw-1"].namespace.name
    wire = f"dev{os.getpid() % 10**6}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", wire, "netns", edge, "type", "veth", "peer", "name", "eth0", "netns", name)
        for space, link, address in ((edge, wire, "10.99.0.1/24"), (name, "eth0", "10.99.0.2/24")):
            ip("-n", space, "address", "add", address, "dev", link)
            ip("-n", space, "link", "set", link, "up")
        ip("-n", name, "route", "add", "default", "via", "10.99.0.1")
        yield name
    finally:
        ip("netns", "delete", name)  # and the wire with it


def tierflow(*words: str) -> str:
    command = [sys.executable, "-m", "tierflow", "gateway", *words, "--fabric", "demo", "--node", "gw-1"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


def until(holds: Callable[[], object], patience: float = 40) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def gateways(fabric: FabricRecord) -> list[psutil.Process]:
    """The processes of the fabric's gateways."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(FABRIC) == fabric.state
            if ours and "tierflow.runtime.gateway" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_device_that_cannot_run_ray_sends_and_receives_through_a_cut(
    fabric: FabricRecord, rig: Rig, drive: Driver, device: str, tmp_path: Path
) -> None:
    address, token = rig.hosts["gw-1"].address, tmp_path / "token"
    folder = node_folder(Path(fabric.state), "gw-1")

    def client() -> Any:
        """What the plain client says, run on the device with nothing of tierflow in its path."""
        program = [sys.executable, "-P", str(ROOT / "jobs" / "clients" / "plain.py")]
        words = [f"http://{address}:8470", f"grpc://{address}:8471", str(token)]
        environment = {"PATH": os.environ["PATH"]}
        done = subprocess.run(
            ["ip", "netns", "exec", device, *program, *words],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    opened = drive(OPENS)
    assert "RESULT 1" in opened.stdout, opened.stderr
    tierflow("open", "--outbox", "readings", "--version", "model", "--listen", "node")
    try:
        tierflow("token", "make", "sensor", "-o", str(token))
        until(lambda: list((folder / "followed" / "model").glob("*.version")))
        until(lambda: answers(device, address))
        rig.cut(UPLINK)
        try:
            time.sleep(3)
            first = client()
            assert [said["again"] for said in first["sent"]] == [False, True, False]
            assert 0 <= first["offset"] <= 300_000
            assert (first["same"], first["version"], first["model"]) == (True, "1", "hello device")
            (gateway,) = gateways(fabric)
            gateway.kill()
            gateway.wait(10)
            until(lambda: answers(device, address))
            again = client()
            assert [said["again"] for said in again["sent"]] == [True, True, True]
        finally:
            rig.heal(UPLINK)
        said = drive(READS).stdout.rpartition("RESULT")[2]
        assert sorted(json.loads(said)) == [["gw-1", f"sensor/{key}", [50_000, 2]] for key in ("morning", "noon")]
    finally:
        tierflow("close")
    until(lambda: not gateways(fabric))


def answers(device: str, address: str) -> bool:
    """Whether both ports answer on the device's wire."""
    probe = f"import socket; [socket.create_connection(({address!r}, port), 1) for port in (8470, 8471)]"
    command = ["ip", "netns", "exec", device, sys.executable, "-c", probe]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
