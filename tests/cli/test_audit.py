"""``tierflow audit`` as typed, on logs that nodes wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tierflow.runtime.audit import AuditLog
from tierflow.runtime.record import FabricRecord, node_folder

ROOT = Path(__file__).parents[2]
LINEAGE = [{"id": "3e", "node": "cam-1", "function": "any@cam-1/shot"}]
RELEASE = {"what": "release", "node": "cam-1", "by": "mean", "stay": "device", "word": "aggregate", "lineage": LINEAGE}
REFUSAL = {
    "what": "refusal", "node": "cloud-1", "by": "the program", "stay": "site",
    "value": {"kind": "table", "function": "history", "node": "cam-1", "lineage": []},
}  # fmt: skip


def audit(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "TIERFLOW_STATE": str(state), "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    command = [sys.executable, "-m", "tierflow", "audit", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60, check=False)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "cluster.yaml").write_text((ROOT / "clusters" / "demo.yaml").read_text())
    nodes = {"cam-1": 1, "cloud-1": 1}
    FabricRecord("demo", str(folder), "rig", "127.0.0.1:1", "http://127.0.0.1:2", nodes, True).save()
    for node in ("cam-1", "cam-2", "cam-3", "gw-1", "cloud-1"):
        node_folder(folder, node).mkdir(parents=True)
    AuditLog(node_folder(folder, "cam-1")).add({**RELEASE, "value": {"kind": "float"}})
    AuditLog(node_folder(folder, "cam-1")).add({**REFUSAL, "what": "refusal elsewhere"})
    AuditLog(node_folder(folder, "cloud-1")).add(REFUSAL)
    return tmp_path


def test_it_lists_releases_and_refusals_with_what_they_are_made_of(state: Path) -> None:
    shown = audit(state)
    assert shown.returncode == 0, shown.stderr
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert any("release: aggregate mean device float any@cam-1/shot on cam-1" in line for line in lines), lines
    assert any("refusal on cloud-1 the program site table of history" in line for line in lines), lines
    assert lines[-1] == "3 entries; 5 of 5 logs are whole"


def test_the_newest_entries_and_how_often_a_refusal_came_again(state: Path) -> None:
    folder = node_folder(state / "demo", "cloud-1")
    AuditLog(folder).add(REFUSAL)
    held = folder / "audit.held"
    held.write_text(held.read_text().replace('"since": 1', '"since": '))  # long ago
    shown = audit(state, "--last", "1")
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert any("cloud-1" in line and "refusal, 1 more the program site table of history" in line for line in lines)
    assert not any("release: aggregate" in line for line in lines)
    assert any("refusal on cloud-1 the program" in line for line in lines), lines
    assert lines[-1] == "4 entries; 5 of 5 logs are whole"


def test_one_node_as_json(state: Path) -> None:
    [log] = json.loads(audit(state, "--node", "cloud-1", "--json").stdout)
    assert log["problem"] is None
    assert [(entry["n"], entry["what"], entry["by"]) for entry in log["entries"]] == [(1, "refusal", "the program")]
    missing = audit(state, "--node", "cam-9")
    assert missing.returncode == 1
    assert "the fabric demo has no node 'cam-9'; there are: cam-1" in " ".join(missing.stderr.split())


def test_an_altered_log_and_one_that_was_cut_off_are_told_of(state: Path) -> None:
    assert audit(state).returncode == 0
    folder = node_folder(state / "demo", "cam-1")
    log, last = folder / "audit.jsonl", folder / "audit.last"
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b'"aggregate"', b'"nothing"'))
    shown = audit(state)
    assert shown.returncode == 1
    assert "the log of cam-1: line 2 does not follow from the one before it" in " ".join(shown.stderr.split())
    log.unlink()
    last.unlink()  # whoever does that has still been seen from the head
    assert "the log of cam-1: it was cut off: it had 2 lines" in " ".join(audit(state).stderr.split())
