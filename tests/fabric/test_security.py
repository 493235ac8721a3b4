"""Machines that join a fabric with TLS, and machines that should not: each is a network namespace of its own.

The rig gives the hosts only. On the first one `tierflow up` runs, on the others `tierflow join` or a bare `ray start`
with whatever an intruder may have, as on real machines; each has its own state.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fabric.conftest import ROOT, free_port, remains
from tierflow.rig import Rig
from tierflow.runtime.keys import Keys, tls_environment
from tierflow.runtime.node import NodeStart
from tierflow.runtime.settings import FABRIC, RIG, child_environment, make_token, ray_environment
from tierflow.topology import parse

pytestmark = pytest.mark.namespace

HOSTS = """
name: wires
hosts: rig
nodes:
  - {name: head, tier: cloud, site: region-1}
  - {name: near, tier: edge, site: plant-1}
  - {name: far, tier: device, site: plant-1}
links:
  - {from: far, to: plant-1, rate: 100 Mbit/s, delay: 1 ms}
  - {from: plant-1, to: region-1, rate: 100 Mbit/s, delay: 2 ms}
"""
JOB = """
import tierflow
@tierflow.task
def where():
    import ray
    return ray.util.get_node_ip_address()
seen = {node.name for node in tierflow.nodes() if node.alive}
print("alive", *sorted(seen))
for name in sorted(seen):
    print(name, "answers from", tierflow.get(where.options(node=name).remote(), timeout=60))
"""


@dataclass
class Site:
    """The hosts, and the fabric that runs on the first of them."""

    rig: Rig
    folder: Path
    port: int
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    joining: float = 0.0
    """Seconds in which two nodes that may have become members."""

    @property
    def state(self) -> Path:
        return self.root("head") / "guarded"

    @property
    def head(self) -> str:
        return f"{self.rig.hosts['head'].address}:6379"

    def root(self, host: str) -> Path:
        return self.folder / host

    def environment(self, host: str) -> dict[str, str]:
        own = {"TIERFLOW_STATE": str(self.root(host)), RIG: str(self.folder / "rig"), "PYTHONPATH": str(ROOT)}
        return {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | own

    def tierflow(self, *words: str, host: str = "head") -> str:
        command = [sys.executable, "-m", "tierflow", *words]
        done = self.rig.hosts[host].run(command, env=self.environment(host), cwd=ROOT, timeout=120, check=False)
        return (done.stdout + done.stderr).decode()

    def join(self, host: str, token: str, *words: str) -> Path:
        """`tierflow join` on a host, with the token in a file of its own; its log."""
        file = self.root(host) / f"join-{len(self.running)}.token"
        file.parent.mkdir(exist_ok=True, mode=0o700)
        file.write_text(token)
        file.chmod(0o600)
        log = file.with_suffix(".log")
        command = [sys.executable, "-m", "tierflow", "join", "--token-file", str(file), "--cpus", "1", *words]
        with log.open("wb") as out:
            self.running.append(
                self.rig.hosts[host].popen(
                    command, env=self.environment(host), cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
                )
            )
        return log

    def intrude(self, host: str, name: str, place: tuple[str, str], environment: Mapping[str, str]) -> None:
        """A bare `ray start` on a host, with labels and an environment of the intruder's choice."""
        folder = self.folder / f"i{len(self.running)}"
        folder.mkdir()
        start = NodeStart(name, *place, self.head, address=self.rig.hosts[host].address, folder=str(folder))
        words = start.argv()
        bare = [
            str(Path(sys.executable).parent / "ray"),
            *words[words.index("start") :],
        ]  # it does not ask who is there
        with (folder / "log").open("wb") as out:
            process = self.rig.hosts[host].popen(
                bare, env=child_environment(environment), stdout=out, stderr=subprocess.STDOUT
            )
        self.running.append(process)

    def job(self) -> str:
        """What a job says that calls every living node."""
        folder = self.folder / "job"
        folder.mkdir(exist_ok=True)
        (folder / "job.py").write_text(JOB)
        return self.tierflow("submit", "--folder", str(folder), str(folder / "job.py"))

    def status(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.tierflow("status", "--json"))
        return shown

    def until(self, what: str, within: float = 60) -> str:
        """The status once it says something."""
        until = time.monotonic() + within
        while not re.search(what, shown := self.tierflow("status")):
            assert time.monotonic() < until, shown
            time.sleep(0.5)
        return shown


@pytest.fixture(scope="module")
def site(state: Path) -> Iterator[Site]:
    folder = Path(f"{state}-s")
    folder.mkdir(mode=0o700)
    with Rig.up(parse(HOSTS), folder / "rig") as rig:
        found = Site(rig, folder, free_port())
        cluster = folder / "guarded.yaml"
        address = rig.hosts["head"].address
        cluster.write_text(
            "name: guarded\nhosts: machines\nnodes:\n"
            f"  - {{name: cloud-1, tier: cloud, site: region-1, address: {address}}}\n"
            "  - {name: gw-1, tier: edge, site: plant-1}\n"
            "links:\n  - {from: plant-1, to: region-1, rate: 100 Mbit/s, delay: 2 ms}\n"
        )
        said = found.tierflow("up", str(cluster), "--port", str(found.port))
        try:
            assert "the fabric guarded is up: 1 nodes" in said, said
            assert "traffic between nodes is encrypted" in said
            assert "on gw-1, with a copy of" in said
            yield found
        finally:
            for process in found.running:
                end(process)
            found.tierflow("down", "--all")
    left = remains(folder / "head")
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    assert left == []


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        if member.is_running():
            member.kill()
    process.wait(10)


def test_machines_join_by_their_tokens_and_a_job_runs_on_all_of_them(site: Site) -> None:
    began = time.monotonic()
    site.join("near", (site.state / "gw-1.token").read_text())
    fleet = site.tierflow("token", "make", "--tier", "device", "--site", "plant-1", "--expires", "1 h").strip()
    log = site.join("far", fleet, "--name", "cam-9")
    site.until(r"gw-1 .*up")
    site.until(r"cam-9 .*up")
    site.joining = time.monotonic() - began
    said = site.job()
    assert "alive cam-9 cloud-1 gw-1" in said, said
    for name, host in (("cam-9", "far"), ("cloud-1", "head"), ("gw-1", "near")):
        assert f"{name} answers from {site.rig.hosts[host].address}" in said
    assert "cam-9" in site.tierflow("token", "list")
    assert "cam-9 joined the fabric" in log.read_text()


def stolen(site: Site, host: str = "near", name: str = "gw-1") -> dict[str, str]:
    """All that a node was given, as somebody who took it over has it."""
    folder = site.root(host) / "guarded" / "nodes" / name
    return ray_environment(folder / "ray.token") | tls_environment(folder) | {FABRIC: str(site.state)}


def test_without_tls_with_another_authority_or_another_token_no_node_gets_in(site: Site, tmp_path: Path) -> None:
    whole = stolen(site)
    plain = {key: value for key, value in whole.items() if "TLS" not in key}
    other = Keys(tmp_path)
    other.make("guarded", encrypted=True)
    wrong = whole | tls_environment(other.equip("gw-2", site.rig.hosts["near"].address))
    guess = whole | {"RAY_AUTH_TOKEN_PATH": str(make_token(tmp_path / "token"))}
    for name, environment in (("plain", plain), ("wrong-ca", wrong), ("guess", guess)):
        site.intrude("near", name, ("edge", "plant-1"), environment | {FABRIC: str(site.state)})
    tries = site.running[-3:]
    until = time.monotonic() + max(20, 2 * site.joining)  # a node that may is a member by then; Ray tries for hours
    while time.monotonic() < until:
        names = {member["name"] for member in site.status()["nodes"]}
        assert names == {"cloud-1", "gw-1", "cam-9"}
    assert site.status()["refused"] == []
    for process in tries:
        end(process)


@pytest.mark.parametrize(
    ("name", "place", "why"),
    [
        ("cloud-2", ("cloud", "region-1"), "no node called cloud-2 was admitted"),
        ("gw-1", ("cloud", "region-1"), "gw-1 was admitted to tier edge at site plant-1"),
        ("cam-9", ("device", "plant-1"), r"cam-9 was admitted at 10\.77\."),
        ("cloud-1", ("cloud", "region-1"), r"cloud-1 was admitted at 10\.77\."),
    ],
)
def test_a_node_with_all_keys_and_anothers_name_or_tier_is_ended(
    site: Site, name: str, place: tuple[str, str], why: str
) -> None:
    site.intrude("near", name, place, stolen(site))
    shown = site.until(f"refused .*{name} .*{why}")
    until = time.monotonic() + 10
    while raylets_of(site.running[-1]):
        assert time.monotonic() < until, "its raylet goes on"
        time.sleep(0.2)
    end(site.running[-1])
    for there in ("cloud-1", "gw-1", "cam-9"):
        assert re.search(rf"{there} .* up ", shown), shown
    said = site.job()
    assert "alive cam-9 cloud-1 gw-1" in said, said


def raylets_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The raylets that a process started and that run."""
    family = psutil.Process(process.pid).children(recursive=True)
    return [child for child in family if child.name() == "raylet" and child.status() != psutil.STATUS_ZOMBIE]


def test_certificates_are_rotated_while_the_fabric_runs(site: Site) -> None:
    site.tierflow("certs", "rotate")
    assert "cloud-1, gw-1" in (refused := site.tierflow("certs", "rotate", "--finish")), refused
    assert "started before the rotation" in refused
    for host, name in (("near", "gw-1"), ("far", "cam-9")):
        file = site.root(host) / "guarded" / "nodes" / name / "node.pem"
        before, said = file.read_bytes(), ""
        raylet(site, host).terminate()
        until = time.monotonic() + 60
        while (certificate := file.read_bytes()) == before or f"{name} answers" not in (said := site.job()):
            assert time.monotonic() < until, said
            time.sleep(0.5)
        assert certificate.count(b"BEGIN") == 2
        assert "alive cam-9 cloud-1 gw-1" in said, said
    assert "error: cloud-1 started before the rotation" in site.tierflow("certs", "rotate", "--finish")


def raylet(site: Site, host: str) -> psutil.Process:
    """The raylet of the node that joined on a host."""
    for process in psutil.process_iter():
        try:
            if process.name() == "raylet" and str(site.root(host)) in process.environ().get("RAY_TLS_SERVER_KEY", ""):
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"no raylet on {host}")


def test_revoking_a_token_ends_the_node_that_came_by_it_for_good(site: Site) -> None:
    grants = json.loads(site.tierflow("token", "list", "--json"))
    grant = next(row["id"] for row in grants if row["nodes"] == ["cam-9"])
    joined = site.running[1]
    assert "nodes that came by it: cam-9" in site.tierflow("token", "revoke", grant)
    site.until(f"refused .*cam-9 .*the join token it came by \\({grant}\\) was revoked")
    assert joined.wait(60) == 1
    log = next(site.root("far").glob("join-*.log")).read_text()
    assert f"error: the join token {grant} was revoked; ask for another" in log, log
