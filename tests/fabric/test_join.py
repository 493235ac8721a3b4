"""`tierflow join`, as a service manager runs it, against a head on this machine's own network."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.fabric.conftest import ROOT, free_port
from tierflow.runtime import launch
from tierflow.runtime.grants import Grants
from tierflow.runtime.join import door_of
from tierflow.runtime.record import FabricRecord, node_folder
from tierflow.topology import parse
from tierflow.trust import JoinToken

HEAD_ONLY = "name: lone\nhosts: local\nnodes:\n  - {name: cloud-1, tier: cloud, site: region-1}\n"
PATIENCE = 120
"""Seconds until something is taken to hang: these tests run aside, where they get what time the others leave."""


@pytest.fixture(scope="module")
def lone(state: Path) -> Iterator[FabricRecord]:
    record = launch.up(parse(HEAD_ONLY), port=free_port(), progress=lambda name, what: None)
    yield record
    launch.down(record)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the joining node keeps its sockets: short, as their paths must be."""
    with tempfile.TemporaryDirectory(prefix="tf-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def token(lone: FabricRecord, tmp_path: Path) -> Path:
    file = tmp_path / "join.token"
    made = Grants(Path(lone.state)).make(lone.spec(), door_of(lone), ("edge", "plant-1"), "", 600)
    file.touch(0o600)
    file.write_text(made)
    return file


def joining(folder: Path, token: Path, *more: str) -> subprocess.Popen[str]:
    words = ["join", "--name", "gw-3", "--cpus", "1", "--address", "127.77.0.9"]
    words += ["--token-file", str(token), "--temp-dir", str(folder), *more]
    command = [sys.executable, "-m", "tierflow", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(record: FabricRecord, alive: bool, other_than: str = "") -> str:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for member in record.head_interface().members():
            if member.name == "gw-3" and member.alive == alive and member.ray_id != other_than:
                assert (member.tier, member.site, member.resources["edge"]) == ("edge", "plant-1", 1.0)
                return member.ray_id
        time.sleep(0.3)
    raise AssertionError(f"gw-3 did not become {'a member' if alive else 'dead'}")


def test_a_node_joins_and_joins_again_when_its_ray_node_ends(lone: FabricRecord, folder: Path, token: Path) -> None:
    process = joining(folder, token)
    try:
        first = wait_for(lone, alive=True)
        raylets = [child for child in psutil.Process(process.pid).children(recursive=True) if child.name() == "raylet"]
        assert len(raylets) == 1
        raylets[0].kill()
        wait_for(lone, alive=True, other_than=first)
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert "gw-3 joined the fabric" in said
    assert "the Ray node of gw-3 ended; it joins again in 1 s" in said
    assert token.read_text() not in said


def test_another_tokens_tier_cannot_be_had_by_asking(lone: FabricRecord, folder: Path, token: Path) -> None:
    said, _ = joining(folder, token, "--name", "cloud-1").communicate(timeout=PATIENCE)
    assert "error: cloud-1 is of tier cloud at site region-1 in the cluster file, and the join token" in said
    forged = JoinToken.read(token.read_text()).sealed(b"")
    token.write_text(forged)
    said, _ = joining(folder, token, "--name", "gw-4").communicate(timeout=PATIENCE)
    assert "error: this join token was not made by the fabric 'lone' as it runs now, or was changed; make one" in said


def test_a_wrong_ray_token_ends_the_join_with_one_sentence(lone: FabricRecord, folder: Path, token: Path) -> None:
    """What a node meets whose head was started anew behind its back, at the same address."""
    right = lone.token.read_text()
    lone.token.write_text("f" * 64)  # the door reads it here; Ray has read it long ago
    try:
        process = joining(folder, token, "--name", "gw-5")
        said, _ = process.communicate(timeout=PATIENCE)
    finally:
        lone.token.write_text(right)
    assert process.returncode == 1
    assert "refused the token of gw-5" in said, said


def test_the_unit_holds_the_command_and_not_the_token(lone: FabricRecord, folder: Path, token: Path) -> None:
    process = joining(folder, token, "--print-unit")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert f"--token-file {token} --cpus 1 --name gw-3" in said
    assert "Restart=always" in said
    assert "StateDirectoryMode=0700" in said
    assert token.read_text() not in said
    assert not node_folder(Path(lone.state), "gw-4").exists()
