"""A fabric comes up whole or not at all, and nothing of it stays."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fabric.conftest import DEMO, ROOT, Driver, free_port, namespaces_and_cgroups, remains
from tierflow.errors import FabricError
from tierflow.rig import Rig
from tierflow.runtime import launch
from tierflow.runtime.record import FabricRecord
from tierflow.topology import ClusterSpec, load

pytestmark = pytest.mark.namespace


def tierflow(*words: str, **how: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tierflow", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False, **how)  # type: ignore[call-overload,no-any-return]


def other(**change: object) -> ClusterSpec:
    return load(DEMO).model_copy(update={"name": "other", **change})


def test_status_shows_every_node_as_a_table_and_as_json(fabric: FabricRecord) -> None:
    shown = tierflow("status", "--fabric", fabric.name)
    assert shown.returncode == 0, shown.stderr
    assert "cam-3" in shown.stdout
    rows = json.loads(tierflow("status", "--fabric", fabric.name, "--json").stdout)
    assert {row["name"]: row["state"] for row in rows["nodes"]} == dict.fromkeys(
        ("cam-1", "cam-2", "cam-3", "gw-1", "cloud-1"), "up"
    )
    assert {row["name"]: row["resources"].get(row["tier"]) for row in rows["nodes"]}["cam-1"] == 1.0
    assert rows["links"]["plant-1->region-1"]["bytes"] > 0


def test_a_second_up_is_refused_and_the_first_goes_on(fabric: FabricRecord) -> None:
    again = tierflow("up", str(DEMO))
    assert again.returncode == 1
    assert "the fabric 'demo' is up already; use it, or take it down with `tierflow down`" in again.stderr
    assert len(fabric.head_interface().members()) == 5


def test_a_busy_port_is_refused_before_anything_is_made(state: Path, leaves_nothing: None) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        with pytest.raises(FabricError, match=r"is taken .*name another port with --port"):
            launch.up(other(), port=busy.getsockname()[1], progress=lambda name, what: None)
    assert not (state / "other").exists()


def test_a_node_that_does_not_come_up_in_time_takes_the_rest_with_it(state: Path, leaves_nothing: None) -> None:
    with pytest.raises(FabricError, match="cloud-1 did not come up in time"):
        launch.up(other(), port=free_port(), timeout=0.5, progress=lambda name, what: None)
    assert remains(state / "other") == []


def test_without_privilege_the_error_says_what_is_missing(state: Path) -> None:
    def drop() -> None:
        for capability in (12, 21):  # CAP_NET_ADMIN, CAP_SYS_ADMIN; 24 is PR_CAPBSET_DROP
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)

    refused = tierflow("rig", "up", str(DEMO), preexec_fn=drop)
    assert refused.returncode == 1
    assert "CAP_NET_ADMIN" in refused.stderr
    assert "hosts: local" in refused.stderr


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_leaves_nothing(state: Path, leaves_nothing: None, with_signal: signal.Signals) -> None:
    with launching(state) as launcher:
        launcher.send_signal(with_signal)
        assert launcher.wait(30) == 130
    assert remains(state / "other") == []


def test_what_a_killed_launcher_left_is_removed_by_the_next_down(state: Path, leaves_nothing: None) -> None:
    before = namespaces_and_cgroups()
    with launching(state) as launcher:
        launcher.kill()
    assert namespaces_and_cgroups() != before
    done = tierflow("down", "--fabric", "other")
    assert done.returncode == 0, done.stderr
    assert remains(state / "other") == []


def launching(state: Path) -> subprocess.Popen[bytes]:
    """`tierflow up` of another fabric, at the moment when its head starts."""
    file = state / "other.yaml"
    file.write_text(DEMO.read_text().replace("name: demo", "name: other", 1))
    command = [sys.executable, "-m", "tierflow", "up", str(file), "--port", str(free_port())]
    launcher = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not (state / "other" / "cloud-1.log").exists():
        assert launcher.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    file.unlink()
    return launcher


def test_a_cut_device_is_left_alone_by_the_rest_and_answers_after_the_heal(drive: Driver, rig: Rig) -> None:
    program = """
        import os, ray, tierflow
        @tierflow.task(node="cam-3", max_retries=0)
        def beyond(): return "beyond"
        @tierflow.task(tier="edge")
        def near(): return "near"
        print(tierflow.get(near.remote()))
        try:
            print(tierflow.get(beyond.remote(), timeout=6))
        except (tierflow.Cut, ray.exceptions.GetTimeoutError):
            print("no answer")
        print("died:", [node.name for node in tierflow.nodes() if not node.alive])
    """
    assert drive(program).stdout.split() == ["near", "beyond", "died:", "[]"]
    rig.cut("cam-3")
    try:
        cut = drive(program)
    finally:
        rig.heal("cam-3")
    assert cut.stdout.split() == ["near", "no", "answer", "died:", "[]"], cut.stderr
    until = time.monotonic() + 60
    while (healed := drive(program)).stdout.split() != ["near", "beyond", "died:", "[]"]:
        assert time.monotonic() < until, healed.stderr


def test_a_job_runs_on_the_head_shows_its_log_and_ends_with_its_code(fabric: FabricRecord, tmp_path: Path) -> None:
    program = tmp_path / "job.py"
    program.write_text("import sys, tierflow\nprint('asked', sys.argv[1:], len(tierflow.nodes()))\nsys.exit(7)\n")
    words = ["submit", "--fabric", fabric.name, "--folder", str(tmp_path), str(program), "--", "--loud", "x"]
    ours = tierflow(*words, env={**os.environ, "RAY_ADDRESS": "127.0.0.1:1"})  # of another cluster
    assert "asked ['--loud', 'x'] 5" in ours.stdout, ours.stderr
    assert ours.returncode == 7
    missing = tierflow("submit", "--fabric", fabric.name, str(tmp_path / "none.py"))
    assert missing.returncode == 1
    assert "there is no program" in missing.stderr


def test_plain_ray_job_submit_works_too(fabric: FabricRecord, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("import ray\nray.init()\nprint('nodes', len(ray.nodes()))\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(fabric.token)}
    command = [str(Path(sys.executable).parent / "ray"), "job", "submit", "--address", fabric.dashboard]
    command += ["--working-dir", str(tmp_path), "--", "python", "job.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "nodes 5" in done.stdout


def test_a_wrong_token_is_refused_by_the_head(fabric: FabricRecord, tmp_path: Path) -> None:
    from tierflow.runtime.dashboard import Dashboard

    with pytest.raises(FabricError, match="refuses this token"):
        Dashboard(fabric.dashboard, "0" * 64).members()
