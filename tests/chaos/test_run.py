"""The suite itself: it finds bugs that were planted, finds none without, replays, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.chaos import planted
from tests.chaos.disks import lacking

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.chaos.run", "--without-ray"]


def chaos(*arguments: str) -> tuple[int, dict[str, object], str]:
    """Its code, what it found, and what it said."""
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_no_history_is_wrong() -> None:
    code, found, said = chaos("--count", "60", "--seed", str(int(time.time()) // 86400 * 1000))
    assert code == 0, said
    assert found["runs"] == 60
    assert found["lost"] == found["applied twice"] == 0


@pytest.mark.parametrize("name", planted.BUGS)
def test_a_planted_bug_is_found_and_its_seed_replays(name: str) -> None:
    if "fsync" in name and (lacks := lacking()):
        pytest.skip(f"this machine lacks {lacks}")
    _, words = planted.BUGS[name]
    code, found, said = chaos("--count", "60", "--plant", name, "--first")
    assert code == 1, f"not found in 60 runs: {found}"
    ((seed, wrong),) = found["failed"].items()  # type: ignore[attr-defined]
    assert {sentence.partition(":")[0] for sentence in wrong} & words
    assert f"make chaos SEED={seed} N=1 WITHOUT_RAY=1" in said
    assert f"seed {seed}; " in said


def test_who_interrupts_it_finds_nothing_left() -> None:
    with subprocess.Popen(
        [*COMMAND, "--count", "1000"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        time.sleep(3)
        running.send_signal(signal.SIGINT)
        said, troubles = running.communicate(timeout=30)
    assert running.returncode == 130, troubles
    assert json.loads(said.splitlines()[-1])["failed"] == {}
    assert not list(Path("/dev/shm").glob(f"tierflow-chaos-{running.pid}-*"))
    assert f"tierflow-chaos-{running.pid}-" not in Path("/proc/mounts").read_text()
    assert not [process for process in psutil.process_iter() if _command(process) == COMMAND]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()[:4]
    except psutil.Error:
        return []
