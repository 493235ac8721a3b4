"""`tierflow join`, as a service manager runs it, against a head on this machine's own network."""

from __future__ import annotations

import re
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
from tierflow.runtime.record import FabricRecord
from tierflow.topology import parse

HEAD_ONLY = "name: lone\nhosts: local\nnodes:\n  - {name: cloud-1, tier: cloud, site: region-1}\n"


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


def joining(record: FabricRecord, folder: Path, token: Path, *more: str) -> subprocess.Popen[str]:
    words = ["join", "--head", record.head, "--tier", "edge", "--site", "plant-1", "--name", "gw-3", "--cpus", "1"]
    words += ["--address", "127.77.0.9", "--token-file", str(token), "--temp-dir", str(folder), *more]
    command = [sys.executable, "-m", "tierflow", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(record: FabricRecord, alive: bool, other_than: str = "") -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for member in record.head_interface().members():
            if member.name == "gw-3" and member.alive == alive and member.ray_id != other_than:
                assert (member.tier, member.site, member.resources["edge"]) == ("edge", "plant-1", 1.0)
                return member.ray_id
        time.sleep(0.3)
    raise AssertionError(f"gw-3 did not become {'a member' if alive else 'dead'}")


def test_a_node_joins_and_joins_again_when_its_ray_node_ends(lone: FabricRecord, folder: Path) -> None:
    process = joining(lone, folder, lone.token)
    try:
        first = wait_for(lone, alive=True)
        raylets = [child for child in psutil.Process(process.pid).children(recursive=True) if child.name() == "raylet"]
        assert len(raylets) == 1
        raylets[0].kill()
        wait_for(lone, alive=True, other_than=first)
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=40)
    assert process.returncode == 0, said
    assert "gw-3 joined the fabric" in said
    assert "the Ray node of gw-3 ended; it joins again in 1 s" in said


def test_a_wrong_token_ends_the_join_with_one_sentence(lone: FabricRecord, folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("f" * 64)
    process = joining(lone, folder, wrong)
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 1
    assert re.search(r"error: the head at \S+ refused the token of gw-3; copy the token file", said), said


def test_the_unit_holds_the_command_and_not_the_token(lone: FabricRecord, tmp_path: Path) -> None:
    process = joining(lone, tmp_path, lone.token, "--print-unit")
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"--head {lone.head} --tier edge --site plant-1 --name gw-3" in said
    assert "Restart=always" in said
    assert lone.token.read_text() not in said
