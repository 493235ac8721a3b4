"""Every socket that listens on a running fabric is one that `docs/security.md` explains, and no secret lies about."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.fabric.conftest import ROOT, free_port
from tierflow.rig import Rig
from tierflow.runtime import launch
from tierflow.runtime.record import FabricRecord
from tierflow.runtime.settings import FABRIC
from tierflow.topology import parse

pytestmark = pytest.mark.namespace

CLUSTER = """
name: locked
hosts: rig
tls: true
nodes:
  - {name: cloud-1, tier: cloud, site: region-1}
  - {name: cam-1, tier: device, site: plant-1, gateway: {listen: node, outboxes: [readings]}}
links:
  - {from: plant-1, to: region-1, rate: 100 Mbit/s, delay: 2 ms}
"""
JOB = """
import tierflow
@tierflow.task(tier="device")
def work(): return 1
print("did", tierflow.get(work.remote()))
"""


@dataclass(frozen=True)
class Listener:
    """A kind of socket: which program's, at which address and port, and what it asks of who connects."""

    program: str
    address: str
    port: str
    asks: str

    def is_it(self, program: str, address: str, port: str) -> bool:
        kinds = ((self.program, program), (self.address, address), (self.port, port))
        return all(re.fullmatch(kind, value) for kind, value in kinds)


ANY = r"\*|0\.0\.0\.0"
OWN = r"10\.77\.\d+\.\d+"
EXPLAINED = (
    Listener("gcs_server", ANY, "6379", "TLS and Ray's token"),
    Listener("raylet", ANY, r"\d+", "TLS and Ray's token"),
    Listener(r"ray::.*", r"\*", r"\d+", "TLS and Ray's token: a worker's gRPC, and the dashboard agent's"),
    Listener("python", rf"\[::ffff:(127\.0\.0\.1|{OWN})\]", "10001", "TLS and Ray's token: Ray Client"),
    Listener("python", r"127\.0\.0\.1", "DASHBOARD", "Ray's token: the dashboard"),
    Listener("python", OWN, "6380", "a join token, over TLS: the door"),
    Listener("python", rf"{OWN}|\[::ffff:{OWN}\]", "8470|8471", "a client's token, over TLS: the gateway"),
    Listener("ray::DashboardA.*", rf"127\.0\.0\.1|{OWN}", "52365", "Ray's token: the dashboard agent"),
    Listener("ray::RuntimeEnv.*", OWN, r"\d+", "Ray's token: the runtime environment agent"),
    Listener("ray::DashboardA.*", ANY, r"\d+", "nothing: the node's metrics"),
    Listener("python", ANY, "44217|44227", "nothing: the head's metrics"),
)


@pytest.fixture(scope="module")
def locked(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricRecord]:
    record = launch.up(parse(CLUSTER), port=free_port(), progress=lambda name, what: None)
    try:
        folder = tmp_path_factory.mktemp("job")
        (folder / "job.py").write_text(JOB)
        said = tierflow("submit", "--fabric", "locked", "--folder", str(folder), str(folder / "job.py"))
        assert "did 1" in said, said
        yield record
    finally:
        launch.down(record)


def tierflow(*words: str) -> str:
    command = [sys.executable, "-m", "tierflow", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    return done.stdout + done.stderr


def listening(text: str) -> Iterator[tuple[str, str, str, int]]:
    """Program, address, port and process of each line of ``ss -Hlntup``."""
    for line in text.splitlines():
        _, _, _, _, local, _, *users = line.split(None, 6)
        address, _, port = local.rpartition(":")
        found = re.search(r'\("(.*?)",pid=(\d+)', users[0]) if users else None
        yield (found[1] if found else "?", address.partition("%")[0], port, int(found[2]) if found else 0)


def test_every_socket_that_listens_is_explained(locked: FabricRecord) -> None:
    dashboard = locked.dashboard.rpartition(":")[2]
    strange, seen = [], set()
    for host in Rig.attach(locked.rig).hosts.values():
        for program, address, port, _ in listening(host.run(["ss", "-Hlntup"]).stdout.decode()):
            known = "DASHBOARD" if port == dashboard else port
            kinds = [kind for kind in EXPLAINED if kind.is_it(program, address, known)]
            seen.update(kinds[:1])
            if not kinds:
                strange.append(f"{host.name}: {program} at {address}:{port}")
    assert strange == []
    assert {kind.asks for kind in EXPLAINED} - {kind.asks for kind in seen} <= {"nothing: the node's metrics"}


def test_on_this_machine_the_fabric_listens_on_loopback_only(locked: FabricRecord) -> None:
    ours = {process.pid for process in psutil.process_iter() if belongs(process, locked)}
    text = subprocess.run(["ss", "-Hlntup"], capture_output=True, text=True, check=True).stdout
    rows = [(address, port) for _, address, port, pid in listening(text) if pid in ours]
    assert rows == [("127.0.0.1", locked.dashboard.rpartition(":")[2])]


def belongs(process: psutil.Process, record: FabricRecord) -> bool:
    """Whether a process is of the fabric, by its mark or by what its command names: the state, or a host of the rig."""
    names = [record.state, *(str(host.namespace) for host in Rig.attach(record.rig).hosts.values())]
    try:
        command = " ".join(process.cmdline())
        return process.environ().get(FABRIC) == record.state or any(name in command for name in names)
    except psutil.Error:
        return False


def secrets_of(record: FabricRecord) -> dict[str, bytes]:
    """The part of each secret of a fabric that would give it away, by its file."""
    state = Path(record.state)
    found = {"token": record.token.read_bytes().strip(), "keys/secret": (state / "keys" / "secret").read_bytes()}
    for path in state.rglob("*.key"):
        content = path.read_bytes()
        found[str(path.relative_to(state))] = content.splitlines()[1] if content.startswith(b"-----") else content
    return found


def test_no_secret_is_in_a_log_a_command_an_environment_or_a_readable_file(locked: FabricRecord) -> None:
    state = Path(locked.state)
    token = tierflow("token", "make", "--fabric", "locked", "--tier", "device", "--site", "plant-1").strip()
    assert token.startswith("tf1.")
    client = tierflow("gateway", "token", "make", "sensor", "--fabric", "locked", "--node", "cam-1").strip()
    assert client.startswith("tg1.")
    hidden = secrets_of(locked) | {"a join token": token.encode(), "a client's token": client.encode()}
    assert len(hidden) == 10
    kept = {state / name for name in hidden if not name.startswith("a ")}
    found = []
    for name, content in places(state, kept):
        found += [f"{secret} is in {name}" for secret, value in hidden.items() if value in content]
    assert found == []


def places(state: Path, kept: set[Path]) -> Iterator[tuple[str, bytes]]:
    """All that might give a secret away: files but those that hold it, commands and environments, what is shown."""
    for path in state.parent.rglob("*"):
        if path.is_file() and path not in kept:
            yield str(path), path.read_bytes()
    for path in kept:
        assert path.stat().st_mode & 0o077 == 0
    for process in psutil.process_iter():
        for what in ("cmdline", "environ"):
            try:
                yield f"{what} of {process.pid}", Path(f"/proc/{process.pid}/{what}").read_bytes()
            except OSError:
                continue
    clients = ["gateway", "token", "list", "--node", "cam-1"]
    for words in (["status", "--json"], ["token", "list"], ["certs", "show"], clients, ["explain", "--last", "5"]):
        yield " ".join(words), tierflow(*words, "--fabric", "locked").encode()


def test_nobody_else_on_the_machine_gets_at_rays_sockets(locked: FabricRecord) -> None:
    sockets = [path for path in Path(locked.state).parent.rglob("*") if path.is_socket()]
    assert len(sockets) > 2
    for path in sockets:
        assert path.stat().st_mode & 0o077 == 0 or any(folder.stat().st_mode & 0o077 == 0 for folder in path.parents)
