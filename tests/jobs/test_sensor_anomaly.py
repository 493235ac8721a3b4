from __future__ import annotations

import math
from pathlib import Path

import pytest

import tierflow.testing
from jobs.sensor_anomaly import main


def pump(folder: Path) -> Path:
    """Twelve hundred minutes of a pump with a spike near the end, one bad row and a valve that never moves."""
    path = folder / "pump.csv"
    lines = [
        f"{i},{math.sin(i / 5) + (3 if 1000 <= i < 1006 else 0):.4f},1,{int(1000 <= i < 1006)}" for i in range(1200)
    ]
    lines[7] = "7,broken,1,0"
    path.write_text("time,flow,valve,label\n" + "\n".join(lines) + "\n")
    return path


def test_a_users_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "out" / "report.html"
    with tierflow.testing.fabric():
        assert main(["--input", str(pump(tmp_path)), "--report", str(report), "--seed", "1"]) == 0
    shown = capsys.readouterr().out
    assert "pump: column 'valve' never changes and was left out" in shown
    assert "pump: 1 rows had text in 'flow'" in shown
    assert "1 of 1" in shown
    assert "every raw reading, had it been sent (computed)" in shown
    assert "Where each actor ran" in shown
    assert "score on the devices: 2 of 2" in shown
    assert "pump" in report.read_text()


def test_a_bad_file_is_one_sentence_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.csv"
    path.touch()
    with tierflow.testing.fabric():
        assert main(["--input", str(path), "--report", str(tmp_path / "r.html")]) == 1
    shown = capsys.readouterr().out
    error = shown[shown.index("error:") :].replace("\n", " ")
    assert "is empty; it needs a header, one time column and at least one column of values" in error
    assert "Traceback" not in shown
    assert not (tmp_path / "r.html").exists()
