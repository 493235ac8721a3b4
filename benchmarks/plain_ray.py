"""Plain Ray on the rig: the same hosts and links, `ray start` on each, Ray's defaults and nothing of tierflow."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from benchmarks.driven import drive, free_port
from tierflow.errors import FabricError
from tierflow.rig import Rig
from tierflow.runtime.node import HEAD_PORT, RIG_OBJECT_STORE, NodeStart
from tierflow.runtime.settings import child_environment
from tierflow.topology import ClusterSpec

__all__ = ["PlainRay", "plain_ray"]

PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class PlainRay:
    """A cluster of plain Ray that is up; as `driven.Running`."""

    rig: Rig
    environment: Mapping[str, str]
    status: Status
    title: str

    def say(self, what: str) -> None:
        """Show what is going on."""
        self.status.update(f"{self.title}: {what}")

    def drive(self, node: str, module: str, *arguments: object, timeout: float) -> Any:
        """Run a module of the benchmarks as a driver on a node. Raises `FabricError`."""
        return drive(self.rig.hosts[node], self.environment, self.say, module, arguments, timeout)


@contextmanager
def plain_ray(spec: ClusterSpec, title: str) -> Iterator[PlainRay]:
    """Start it, with each node's labels and resources as tierflow has them; all of it is gone at the end."""
    place = Path(tempfile.mkdtemp(prefix="tf-"))  # short: Ray puts sockets in it
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    try:
        with Console(stderr=True).status(f"{title}: starting plain Ray") as status, Rig.up(spec, place / "rig") as rig:
            for node in spec.nodes:
                rig.quota(node.name, None)
            head = f"{rig.hosts[spec.head.name].address}:{HEAD_PORT}"
            environment = child_environment(own | {"RAY_ADDRESS": head})
            for node in sorted(spec.nodes, key=lambda node: node.name != spec.head.name):
                _start(rig, spec, node.name, head, place, {k: v for k, v in environment.items() if k != "RAY_ADDRESS"})
            cluster = PlainRay(rig, environment, status, title)
            _wait(cluster, spec.head.name, len(spec.nodes))
            for node in spec.nodes:
                rig.quota(node.name, node.cpu_quota)
            yield cluster
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _start(
    rig: Rig, spec: ClusterSpec, name: str, head: str, place: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    node = next(node for node in spec.nodes if node.name == name)
    folder = place / f"r{spec.nodes.index(node)}"
    folder.mkdir()
    start = NodeStart(
        name=name,
        tier=node.tier,
        site=node.site,
        head=head,
        is_head=name == spec.head.name,
        address=rig.hosts[name].address,
        cpus=node.cpus,
        object_store=RIG_OBJECT_STORE,
        folder=str(folder),
        dashboard=free_port(),
    )
    log = os.open(folder / "start.log", os.O_WRONLY | os.O_CREAT)
    try:
        process = rig.hosts[name].popen(start.argv(), env=environment, stdout=log, stderr=log)
    finally:
        os.close(log)
    if start.is_head:
        time.sleep(8)
    return process


def _wait(cluster: PlainRay, head: str, nodes: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            found: int = cluster.drive(head, "benchmarks.plain_ray_driver", timeout=60)
        except FabricError:
            if time.monotonic() > until:
                raise
            found = 0
        if found >= nodes:
            return
        if time.monotonic() > until:
            raise FabricError(f"of {nodes} nodes of plain Ray {found} came up", "see whether the machine is loaded")
