"""What a node keeps of its residents, read after whatever happened to it."""

from __future__ import annotations

import pickle
import socket
import sys
from pathlib import Path

import pytest

from tierflow.runtime.residents import ISLAND_FILE, Resident, has_residents, island_here, kept_code, note, residents
from tierflow.runtime.settings import NODE_FOLDER


def keep(folder: Path, name: str) -> Path:
    resident = Resident(name, "site", {"num_cpus": 0}, (), b"class and arguments")
    file = resident.file(folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(resident))
    return file


def test_residents_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    assert not has_residents(tmp_path)
    for name in ("model/2", "a: b", "model/1"):
        keep(tmp_path, name)
    assert has_residents(tmp_path)
    assert [resident.name for resident in residents(tmp_path)] == ["a: b", "model/1", "model/2"]


def test_a_torn_file_is_passed_over_and_the_others_are_read(tmp_path: Path) -> None:
    torn, foreign = keep(tmp_path, "torn"), keep(tmp_path, "foreign")
    keep(tmp_path, "whole")
    torn.write_bytes(torn.read_bytes()[:20])
    foreign.write_bytes(pickle.dumps("something else"))
    assert [resident.name for resident in residents(tmp_path)] == ["whole"]


def test_an_island_is_joined_only_while_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NODE_FOLDER, raising=False)
    assert island_here() is None
    monkeypatch.setenv(NODE_FOLDER, str(tmp_path))
    assert island_here() is None
    with socket.socket() as island:
        island.bind(("127.77.0.1", 0))
        address = f"127.77.0.1:{island.getsockname()[1]}"
        (tmp_path / ISLAND_FILE).write_text(address)
        assert island_here() is None
        island.listen()
        assert island_here() == address


def test_outside_a_fabric_nothing_is_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NODE_FOLDER, raising=False)
    note(object, {}, (), {})


def test_what_ray_unpacked_for_a_job_is_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = tmp_path / "session" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    unpacked.mkdir(parents=True)
    (unpacked / "model.py").write_text("first = 1")
    monkeypatch.setattr(sys, "path", ["/usr/lib", str(unpacked)])
    node = tmp_path / "node"
    copy = node / "code" / "_ray_pkg_1"
    assert kept_code(node) == (str(copy),)
    (unpacked / "model.py").write_text("second = 2")
    assert kept_code(node) == (str(copy),)
    assert [path.name for path in copy.parent.iterdir()] == ["_ray_pkg_1"]
    assert (copy / "model.py").read_text() == "first = 1"
