"""The main job on a real fabric: it finds what the baselines find, and says so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fabric.conftest import ROOT
from tierflow.runtime.record import FabricRecord

pytestmark = pytest.mark.namespace


def test_the_job_finds_at_least_what_the_better_baseline_finds(fabric: FabricRecord, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    command = [sys.executable, "-m", "tierflow", "submit", "--fabric", fabric.name, "jobs/sensor_anomaly.py", "--"]
    done = subprocess.run(
        [*command, "--report", str(report)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    total = done.stdout.partition("all labelled")[2]
    found = {
        name: int(count)
        for name, count in re.findall(r"(tierflow models|z-score|seasonal-naive) *│ *(\d+) of 8", total)
    }
    assert set(found) == {"tierflow models", "z-score", "seasonal-naive"}, done.stdout
    assert found["tierflow models"] >= max(found.values())
    page = report.read_text().replace("&gt;", ">")
    assert "plant-1->region-1" in page
    where = dict(re.findall(r"<tr><td>([^<]+)</td><td>([^<]+)</td>", page))
    assert [where[f"device: {name}"] for name in ("pressure", "ecg", "water")] == ["cam-1", "cam-2", "cam-3"]
    # Nobody named these places: the fabric found them.
    assert where["cloud"] == "cloud-1"
    assert where["edge of plant-1"] == "gw-1"
    smaller = [node for what, node in where.items() if re.match(r"(?!larger).*, version \d", what)]
    assert len(smaller) == 8
    assert set(smaller) <= {"gw-1", "cam-1", "cam-2", "cam-3"}
    assert {where["larger model, version 1"], where["larger model, version 2"]} == {"cloud-1"}
    assert "chosen by predicted cost" in page
