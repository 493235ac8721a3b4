from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tierflow.errors import StoreError
from tierflow.runtime.audit import AuditLog
from tierflow.trust import broken

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from tierflow.runtime.audit import AuditLog
for at in range(20):
    AuditLog(Path(sys.argv[1])).add({"what": "release", "by": sys.argv[2], "at_": at})
"""


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "cam-1"), str(number)], cwd=ROOT)
        for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 3
    lines, end = AuditLog(tmp_path / "cam-1").read()
    assert broken(lines, [end]) is None
    rows = [json.loads(line) for line in lines]
    assert [row["n"] for row in rows] == list(range(1, 61))
    for number in range(3):
        assert [row["at_"] for row in rows if row["by"] == str(number)] == list(range(20))
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "cam-1").iterdir()} == {0}


def test_a_line_that_was_torn_was_never_counted_and_goes(tmp_path: Path) -> None:
    log, file = AuditLog(tmp_path), tmp_path / "audit.jsonl"
    log.add({"what": "release"})
    whole = file.read_bytes()
    log.add({"what": "refusal"})
    file.write_bytes(file.read_bytes()[:-5])
    assert broken(*_checked(log)) == "line 2 is not whole"
    log.add({"what": "refusal"})
    assert broken(*_checked(log)) is None
    assert file.read_bytes().startswith(whole)
    assert [json.loads(line)["n"] for line in log.read()[0]] == [1, 2]


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(StoreError, match="what is not written down there is not released"):
        AuditLog(tmp_path).add({})
    with pytest.raises(StoreError, match="cannot be read"):
        AuditLog(tmp_path).read()
    assert AuditLog(tmp_path / "none").read()[0] == []


def _checked(log: AuditLog) -> tuple[list[bytes], list[object]]:
    lines, end = log.read()
    return list(lines), [end]
