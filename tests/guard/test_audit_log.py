from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tierflow.errors import StoreError
from tierflow.runtime import audit
from tierflow.runtime.audit import AuditLog, read_ends
from tierflow.trust import End, broken

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from tierflow.runtime.audit import AuditLog, read_ends
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
    log.add({"what": "refusal", "by": "a"})
    file.write_bytes(file.read_bytes()[:-5])
    assert broken(*_checked(log)) == "line 2 is not whole"
    log.add({"what": "refusal", "by": "b"})
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


def test_who_reads_while_others_write_sees_a_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path)
    log.add({"what": "release"})

    def meanwhile(file: Path) -> dict[str, End]:
        log.add({"what": "release"})
        found = read_ends(file)
        log.add({"what": "release"})
        return found

    with monkeypatch.context() as busy:
        busy.setattr(audit, "read_ends", meanwhile)
        assert broken(*_checked(log)) is None
    assert broken(*_checked(log)) is None


def test_what_was_written_in_part_is_an_error_and_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, file, write = AuditLog(tmp_path), tmp_path / "audit.jsonl", os.write
    log.add({"what": "release"})
    whole = file.read_bytes()
    with monkeypatch.context() as full:
        full.setattr(audit.os, "write", lambda to, data: write(to, data[:20]))
        with pytest.raises(StoreError, match="No space left"):
            log.add({"what": "release"})
    assert file.read_bytes() == whole
    log.add({"what": "release"})
    assert broken(*_checked(log)) is None
    assert log.read()[1].lines == 2


def test_long_entries_are_cut_and_long_lines_do_not_break_the_chain(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    for _ in range(3):
        log.add({"what": "release", "value": {"schema": "x" * (1 << 21), "shape": (1, 2)}})
    long = {"schema": "\U0001f4f7" * (1 << 21), "lineage": [{"id": "y" * 9999}] * 999}
    log.add({"what": "refusal", "value": long})
    lines, _ = log.read()
    assert broken(*_checked(log)) is None
    assert [len(line) < most for line, most in zip(lines, (1 << 10, 1 << 10, 1 << 10, 1 << 12), strict=True)] == [
        True
    ] * 4
    with (tmp_path / "audit.jsonl").open("ab") as file:  # of another version
        file.write(audit.linked({"what": "release", "by": "z" * (1 << 21)}, audit.end_of(lines[-1])) + b"\n")
    log.add({"what": "release"})
    assert broken(*_checked(log)) is None
    with pytest.raises(StoreError, match="the entry is too long"):
        log.add({"what": "refusal", **{f"word {number}": "z" for number in range(9999)}})
    assert broken(*_checked(log)) is None


def test_what_is_refused_again_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(audit, "time", SimpleNamespace(time=lambda: clock.now))
    for _ in range(50):
        AuditLog(tmp_path).add({"what": "refusal", "by": "poller", "value": {"id": "4f", "kind": "array"}})
        AuditLog(tmp_path).add({"what": "release", "by": "mean"})
    log = AuditLog(tmp_path)
    assert [row["what"] for row in _rows(log)] == ["refusal", *["release"] * 50]
    assert len(log.settled()[0]) == 51
    clock.now += 61
    log.settled()
    counted = _rows(log)[-1]
    assert (counted["what"], counted["by"], counted["times"], counted["since"]) == ("refusal", "poller", 49, 1000.0)
    assert broken(*_checked(log)) is None
    log.add({"what": "refusal", "by": "poller", "value": {"id": "4f", "kind": "array"}})
    assert "times" not in _rows(log)[-1]
    (tmp_path / "audit.held").write_text('{"a": 3}')
    log.add({"what": "refusal", "by": "poller", "value": {"id": "4f"}})
    assert broken(*_checked(log)) is None


def test_the_last_of_a_disk_is_for_releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path)
    monkeypatch.setattr(audit.os, "statvfs", lambda folder: SimpleNamespace(f_bavail=1000, f_frsize=4096))
    log.add({"what": "release"})
    with pytest.raises(StoreError, match="what is left is for releases") as full:
        log.add({"what": "refusal"})
    assert isinstance(full.value.__cause__, OSError)
    assert full.value.__cause__.errno == errno.ENOSPC
    assert [row["what"] for row in _rows(log)] == ["release"]


def _rows(log: AuditLog) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read()[0]]


def _checked(log: AuditLog) -> tuple[list[bytes], list[object]]:
    lines, end = log.read()
    return list(lines), [end]
