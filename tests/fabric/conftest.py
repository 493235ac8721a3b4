"""Real fabrics: hosts with shaped links on this machine and a real Ray node on each, gone when the tests end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tierflow.rig import Rig
from tierflow.rig.ledger import LEDGER, identity
from tierflow.runtime import launch
from tierflow.runtime.measured import Measurements
from tierflow.runtime.record import FabricRecord
from tierflow.runtime.settings import FABRIC
from tierflow.topology import load

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "clusters" / "demo.yaml"

PROBED = ("cam-1->plant-1", "cam-2->plant-1", "cam-3->plant-1", "plant-1->region-1", "region-1->plant-1")
"""Links of the demo whose rates agents measure when their nodes have joined."""

Driver = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder of the tests' own, checked to be the last trace of any fabric made in it; and a cache."""
    folder = Path(f"/tmp/tf-test-{os.getpid()}")
    cache = tmp_path_factory.mktemp("cache")
    before = {name: os.environ.get(name) for name in ("TIERFLOW_STATE", "TIERFLOW_CACHE")}
    os.environ |= {"TIERFLOW_STATE": str(folder), "TIERFLOW_CACHE": str(cache)}
    yield folder
    left = remains(folder)
    for name in folder.glob("*/"):
        launch.clean(name.name)
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    assert left == []


def remains(folder: Path) -> list[str]:
    """What a fabric in ``folder`` left: processes by their mark, namespaces and cgroups by their rig, files."""
    marked = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(FABRIC, "").startswith(str(folder)):
                marked.append(f"process {process.pid} {process.name()}")
        except psutil.Error:
            continue
    files = [str(path) for path in folder.rglob("*") if path.is_file() or path.is_socket()]
    return [*marked, *files]


@pytest.fixture
def leaves_nothing(state: Path) -> Iterator[None]:
    """The test's own fabrics are gone when it ends, also when it fails; so are namespaces and cgroups."""
    before = namespaces_and_cgroups()
    own = set(state.glob("*/"))
    yield
    for folder in set(state.glob("*/")) - own:
        if folder.name != "ray":
            launch.clean(folder.name)
    assert namespaces_and_cgroups() == before


def namespaces_and_cgroups() -> set[str]:
    """Every network namespace and cgroup of a rig on this machine; but for what tests have that run aside."""
    theirs = _rigs_aside()
    groups = {str(path) for mount in Path("/sys/fs/cgroup").glob("*") for path in mount.glob("tierflow/*/*")}
    found = groups | {str(path) for path in Path("/run/netns").glob("tf-*")}
    theirs |= _rigs_aside()  # those that began meanwhile; the ledger of one that ended was there before
    return {name for name in found if not any(rig in name for rig in theirs)}


def _rigs_aside() -> set[str]:
    ledgers = Path("/tmp").glob(f"tf-test-*/rig/{LEDGER}")
    return {identity(path.parent) for path in ledgers if path.parts[2].split("-")[2] != str(os.getpid())}


@pytest.fixture(scope="session")
def fabric(state: Path) -> Iterator[FabricRecord]:
    """The fabric of ``clusters/demo.yaml``."""
    record = launch.up(load(DEMO), port=free_port(), progress=lambda name, what: None)
    yield record
    launch.down(record)


@pytest.fixture(scope="session")
def measured(fabric: FabricRecord) -> Measurements:
    """What the agents found, once each has measured its node (a weak one loads torch first) and its links."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        found = Measurements.read(Path(fabric.state))
        known = [found.nodes.get(node.name, {}) for node in fabric.spec().nodes]
        if all("speed" in node for node in known) and all("rate" in found.links.get(name, {}) for name in PROBED):
            return found
        time.sleep(1)
    raise AssertionError(found)


@pytest.fixture(scope="session")
def rig(fabric: FabricRecord) -> Rig:
    """The hosts and links below the fabric."""
    return Rig.attach(fabric.rig)


@pytest.fixture(scope="session")
def drive(fabric: FabricRecord, rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """Run a program, given as text, as a driver on a host of the fabric; its output."""
    folder = tmp_path_factory.mktemp("drivers")
    environment = launch.driver_environment(fabric) | {"PYTHONPATH": str(ROOT)}

    def run(program: str, *, host: str = "cloud-1", timeout: float = 90) -> subprocess.CompletedProcess[str]:
        path = folder / f"driver-{len(list(folder.iterdir()))}.py"
        path.write_text(textwrap.dedent(program))
        done = rig.hosts[host].run([sys.executable, str(path)], env=environment, cwd=ROOT, timeout=timeout, check=False)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
