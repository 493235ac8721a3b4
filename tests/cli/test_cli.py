"""The command line, as typed: what it prints, and one sentence for each error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tierflow(*words: str, state: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "TIERFLOW_STATE": str(state), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tierflow", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60, check=False)


@pytest.mark.parametrize("name", ["demo", "campus", "one-machine", "onprem"])
def test_check_says_what_a_shipped_file_means(name: str, tmp_path: Path) -> None:
    shown = tierflow("check", f"clusters/{name}.yaml", state=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"{name}: ")
    described = json.loads(tierflow("check", "--json", f"clusters/{name}.yaml", state=tmp_path).stdout)
    assert described["name"] == name


def test_check_names_the_file_the_line_and_the_mend(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: bad\nhosts: rig\nnodse: []\n")
    shown = tierflow("check", str(file), state=tmp_path)
    assert shown.returncode == 1
    assert shown.stdout == ""
    assert f"error: {file}:3: " in shown.stderr
    assert "nodes" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("words", [("status",), ("down",), ("submit", "jobs/sensor_anomaly.py")])
def test_without_a_fabric_the_error_says_how_to_start_one(words: tuple[str, ...], tmp_path: Path) -> None:
    shown = tierflow(*words, state=tmp_path)
    assert shown.returncode == 1
    said = " ".join(shown.stderr.split())
    assert said == "error: no fabric runs on this machine; start one with `tierflow up clusters/demo.yaml`"


def test_without_a_rig_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    shown = tierflow("rig", "cut", "plant-1", state=tmp_path)
    assert shown.returncode == 1
    assert "no rig runs on this machine; bring one up with `tierflow up` or `tierflow rig up`" in shown.stderr


def test_join_without_a_token_says_where_to_get_it(tmp_path: Path) -> None:
    shown = tierflow("join", "--name", "gw-3", "--token-file", str(tmp_path / "none"), state=tmp_path)
    assert shown.returncode == 1
    assert "make one on the head with `tierflow token make` and name its file with --token-file" in " ".join(
        shown.stderr.split()
    )


def test_the_help_lists_every_command(tmp_path: Path) -> None:
    shown = tierflow("--help", state=tmp_path).stdout
    for command in ("check", "up", "status", "down", "join", "explain", "submit", "run", "rig", "token", "certs"):
        assert command in shown


def test_restart_takes_nodes_or_all_and_not_both(tmp_path: Path) -> None:
    for words in ((), ("gw-1", "--all")):
        shown = tierflow("restart", *words, state=tmp_path)
        assert shown.returncode == 1
        assert "restart takes nodes or --all; name the nodes, or say --all" in shown.stderr
