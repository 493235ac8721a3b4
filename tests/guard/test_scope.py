"""The keys of a node, as a process on it finds them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from tierflow.errors import StayRefused, StoreError
from tierflow.runtime.guard import Sealed
from tierflow.runtime.scope import DEVICE, SITE, keep_site_secret, scope_here
from tierflow.topology import Stay


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIERFLOW_NODE", str(tmp_path / "cam-1"))
    keep_site_secret(tmp_path / "cam-1", "plant-1", b"1" * 32)
    return tmp_path / "cam-1"


@pytest.mark.parametrize(("stay", "scope"), [("device", "cam-1"), ("site", "plant-1")])
def test_a_key_that_was_made_anew_is_seen_and_named(folder: Path, stay: Stay, scope: str) -> None:
    before, sealed = scope_here(), pickle.dumps(Sealed([1], stay), 5)
    if stay == "device":
        (folder / DEVICE).unlink()
    else:
        keep_site_secret(folder, "plant-1", b"2" * 32)
    assert scope_here().secrets[stay] != before.secrets[stay]
    with pytest.raises(StayRefused, match=f"may not leave {scope}, and .* its key was made anew since then"):
        pickle.loads(sealed)


@pytest.mark.parametrize(("name", "words"), [(DEVICE, "another is made: values"), (SITE, "join the node again")])
def test_a_damaged_key_says_what_to_do(folder: Path, name: str, words: str) -> None:
    scope_here()
    (folder / name).write_bytes(b"3")
    os.utime(folder / name, ns=(1, 1))
    with pytest.raises(StoreError, match=words):
        scope_here()
