"""``tierflow explain`` as typed, on files that a fabric's recorder and journal wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tierflow.cost import Call, Input, Profile, Profiles, Variant
from tierflow.planning.account import Made, Observed
from tierflow.planning.choose import choose
from tierflow.planning.explanation import Explanation
from tierflow.planning.policy import Policy
from tierflow.planning.rank import rank
from tierflow.planning.recorder import Recorder
from tierflow.runtime.journal import JOURNAL, Journal
from tierflow.runtime.record import FabricRecord
from tierflow.topology import Topology, load
from tierflow.topology.conditions import Conditions

ROOT = Path(__file__).parents[2]


def explain(*words: str, state: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "TIERFLOW_STATE": str(state), "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "tierflow", "explain", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60, check=False)


def failure(shown: subprocess.CompletedProcess[str]) -> str:
    assert shown.returncode == 1
    assert shown.stdout == ""
    return " ".join(shown.stderr.split())


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """The state of a fabric in which nothing was called."""
    folder = tmp_path / "demo"
    folder.mkdir()
    FabricRecord("demo", str(folder), "rig", "127.0.0.1:1", "http://127.0.0.1:2", {}, True).save()
    return tmp_path


@pytest.fixture
def state(empty: Path) -> Path:
    """The state of a fabric with three placed calls, the last of which ran elsewhere, and one that named its node."""
    now = Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))
    call = Call((Variant("detect"),), "cam-1", (Input("cam-1", 1e5),))
    profile = Profile().observed("edge 2 CPU x0.4", 1.0, 1e5, 0.08).observed("device 1 CPU x0.2", 1.0, 1e5, 0.5)
    known = Profiles({"detect": profile})
    choice = choose(rank(call, Policy.of(stay="site"), now, known, asked="any node"), {})
    recorder = Recorder("cam-1")
    for number in range(3):
        made = Made(f"aa0{number}", "any/detect", "cam-1", 1.76e9 + number, choice.node, choice)
        recorder.add(made, Observed("cam-2" if number == 2 else choice.node, 0.12, 0.1, 64.0), number)
    named = Made("bb00", "any@cam-1/read", "gw-1", 1.76e9 + 3, "cam-1", asked="node cam-1")
    recorder.add(named, Observed("cam-1", 0.01, error="ValueError: [bold]no[/] frame"), 3.0)
    Journal(empty / "demo" / JOURNAL).append(recorder.take())
    return empty


def test_the_last_call_is_shown_in_full(state: Path) -> None:
    shown = explain(state=state)
    assert shown.returncode == 0, shown.stderr
    assert "any@cam-1/read, called from gw-1" in shown.stdout
    assert "placed on  cam-1: asked for node cam-1" in shown.stdout
    assert "ended in ValueError: [bold]no[/] frame" in shown.stdout


def test_several_calls_are_one_line_each_also_on_a_narrow_screen(state: Path) -> None:
    lines = explain("--last", "9", state=state).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["call", "aa00", "aa01", "aa02", "bb00"]
    assert all(word in lines[1] for word in ("08:53:20Z", "any/detect", "cam-1", "gw-1", "120 ms"))
    assert "cam-2 (not gw-1)" in lines[3]
    assert "error" in lines[4]


def test_a_call_is_found_by_the_beginning_of_its_id(state: Path) -> None:
    text = explain("--call", "aa02", state=state).stdout
    assert "note       it ran on cam-2, not on gw-1" in text
    assert "ruled out: an input may not leave plant-1" in text
    said = failure(explain("--call", "zz", state=state))
    assert said == (
        "error: no call whose id begins with 'zz' is recorded; `tierflow explain --last 20` lists those that are"
    )


def test_json_holds_every_call_whole(state: Path) -> None:
    told = json.loads(explain("--last", "2", "--json", "--fabric", "demo", state=state).stdout)
    assert told["fabric"] == "demo"
    assert [call["call"] for call in told["calls"]] == ["aa02", "bb00"]
    again = [Explanation.from_json(json.dumps(call)) for call in told["calls"]]
    assert tuple(again) == Journal(state / "demo" / JOURNAL).last(2)


def test_what_cannot_be_explained_is_one_sentence(empty: Path, tmp_path: Path) -> None:
    said = failure(explain("--last", "3", state=empty))
    assert said.startswith("error: no call is recorded yet in the fabric demo; make one with .remote()")
    (empty / "demo" / JOURNAL).mkdir()
    assert "cannot be read (Is a directory); run this as the user who" in failure(explain(state=empty))
    assert "no fabric runs on this machine" in failure(explain(state=tmp_path / "none"))
    wrong = explain("--last", "0", state=empty)
    assert wrong.returncode == 2
    assert "Invalid value for '--last'" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_calls_that_were_not_recorded_are_counted(empty: Path) -> None:
    recorder = Recorder("gw-1", rate=200.0, burst=1.0)
    for number, now in enumerate((0.0, 0.0, 0.0, 0.0, 100.0)):
        recorder.add(Made(f"c{number}", "any/f", "gw-1", 1.76e9, "gw-1"), Observed("gw-1", 0.1), now)
        Journal(empty / "demo" / JOURNAL).append(recorder.take())
    lines = explain("--last", "9", state=empty).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["call", "c0", "c4", "3"]
    assert lines[-1].startswith("3 calls between these were not recorded")
