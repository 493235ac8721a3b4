"""Nothing stays behind: after success, failure, Ctrl-C and `kill -9`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.rig.conftest import PAIR, leftovers
from tierflow.errors import RigError
from tierflow.rig import Rig, sweep
from tierflow.rig.ledger import identity
from tierflow.rig.namespaces import create, remove
from tierflow.topology import ClusterSpec

pytestmark = pytest.mark.namespace

LAUNCH = """
import sys, time
from tierflow.rig import Rig
from tierflow.topology import parse

def progress(what, share):
    print(what, flush=True)
    if what == sys.argv[3]: time.sleep(60)

with Rig.up(parse(sys.argv[2]), sys.argv[1], progress) as rig:
    rig.hosts["cam-1"].popen(["sleep", "600"])
    print("made", flush=True); time.sleep(60)
"""


def launch(state: Path, stop_at: str) -> subprocess.Popen[bytes]:
    """A launcher of its own that has come as far as `stop_at`."""
    process = subprocess.Popen([sys.executable, "-c", LAUNCH, str(state), PAIR, stop_at], stdout=subprocess.PIPE)
    assert process.stdout is not None
    while (line := process.stdout.readline().decode().strip()) != stop_at:
        assert line
    return process


@pytest.mark.parametrize("stop_at", ["host gw-1", "links", "made"])
def test_a_killed_launcher_is_cleaned_up_after(state: Path, stop_at: str) -> None:
    with launch(state, stop_at) as process:
        process.send_signal(signal.SIGKILL)
    assert leftovers(state)
    sweep(state)
    assert leftovers(state) == []


@pytest.mark.parametrize("stop_at", ["host gw-1", "links", "made"])
def test_the_next_up_cleans_up_after_a_killed_launcher(state: Path, spec: ClusterSpec, stop_at: str) -> None:
    with launch(state, stop_at) as process:
        process.send_signal(signal.SIGKILL)
    with Rig.up(spec, state) as rig:
        assert rig.hosts["cam-1"].run(["true"]).returncode == 0


@pytest.mark.parametrize("stop_at", ["host gw-1", "links", "made"])
def test_an_interrupted_launcher_leaves_nothing(state: Path, stop_at: str) -> None:
    with launch(state, stop_at) as process:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert leftovers(state) == []


def test_a_launcher_at_work_is_not_disturbed(state: Path, spec: ClusterSpec) -> None:
    with launch(state, "host gw-1") as process:
        with pytest.raises(RigError, match="just now"):
            Rig.up(spec, state)
        with pytest.raises(RigError, match="just now"):
            sweep(state)
        process.send_signal(signal.SIGINT)


def test_an_up_that_fails_half_way_leaves_nothing(state: Path, spec: ClusterSpec) -> None:
    def progress(what: str, share: float) -> None:
        if what == "host cam-1":
            create(f"tf-{identity(state)}-cam-1")  # so that the rig cannot make it

    with pytest.raises(RigError, match="cannot be made"):
        Rig.up(spec, state, progress)
    remove(f"tf-{identity(state)}-cam-1")


def test_a_killed_emulator_and_launcher_leave_nothing_to_the_sweep(state: Path) -> None:
    with launch(state, "made") as process:
        os.kill(Rig.attach(state).control.request("ping")["pid"], signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
    sweep(state)


def test_a_lost_state_folder_hides_nothing(state: Path, spec: ClusterSpec) -> None:
    Rig.up(spec, state)
    shutil.rmtree(state)
    state.mkdir()
    sweep(state)


def test_a_ledger_that_is_none_is_an_error_with_the_mend(state: Path, spec: ClusterSpec) -> None:
    state.mkdir()
    (state / "rig.json").write_text("{}")
    for use in (lambda: Rig.up(spec, state), lambda: sweep(state), lambda: Rig.attach(state)):
        with pytest.raises(RigError, match="is not the record of a rig"):
            use()
    (state / "rig.json").unlink()


def test_a_very_long_state_path_works(tmp_path: Path, spec: ClusterSpec) -> None:
    state = tmp_path / ("long-" * 30) / "rig"
    with Rig.up(spec, state) as rig:
        assert rig.counters()
    assert leftovers(state) == []


def test_down_ends_what_runs_on_the_hosts_at_once(state: Path, spec: ClusterSpec) -> None:
    rig = Rig.up(spec, state)
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    with rig.hosts["cam-1"].popen([sys.executable, "-c", stubborn]) as process:
        begun = time.monotonic()
        rig.down()
        assert process.wait() == -9
        assert time.monotonic() - begun < 3
    rig.down()  # a second time is no error
