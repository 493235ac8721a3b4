"""Who has read what may not leave can still use the fabric's own actors, and takes nobody else's use of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("guarded_services.py")


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, Any]]:
    """What the program saw."""
    with tempfile.TemporaryDirectory(prefix="tf-") as place:
        command = [sys.executable, str(PROGRAM), place]
        own = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        done = subprocess.run(
            command, cwd=PROGRAM.parents[2], capture_output=True, text=True, timeout=180, check=False,
            env=own | {"PYTHONPATH": str(PROGRAM.parents[2])},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("{"))  # Ray tells of crashes there, too
        yield json.loads(line)


def test_anything_is_described_by_workers_that_never_met_a_label(found: dict[str, Any]) -> None:
    assert found["described"] == ["'array None'", "'array device'"]


def test_what_was_released_is_looked_at_for_packing(found: dict[str, Any]) -> None:
    assert found["packs"]


def test_what_was_released_is_published_and_the_publisher_stays_everybodys(found: dict[str, Any]) -> None:
    assert found["published"] == ["1", "2"]
    assert found["version elsewhere"] == "2"


def test_an_outbox_takes_what_was_released(found: dict[str, Any]) -> None:
    assert found["outbox"][0] == "1"
    assert "it was to go into the outbox 'guarded'" in found["outbox"][1]


def test_who_reads_an_inbox_leaves_nothing_in_it(found: dict[str, Any]) -> None:
    assert found["read"] == ["[]", "0"]
    assert found["records elsewhere"] == "[]"


def test_a_fold_may_hold_what_was_read(found: dict[str, Any]) -> None:
    assert found["fold"][0] == "0"
    assert "StayRefused" in found["fold"][1]
    assert "it was to go into the inbox 'guarded'" in found["fold"][1]


def test_what_serves_everybody_opens_nothing(found: dict[str, Any]) -> None:
    assert "Receiver.fold on cam-1 asked for it, which serves everybody" in found["given a label"]
    assert found["records afterwards"] == "[]"


def test_an_actor_that_holds_a_label_has_a_stand_in(found: dict[str, Any]) -> None:
    first, idle, again, *crashed, gone = found["stand-in"]
    assert [first, again, *crashed] == ["1000"] * 4
    assert gone == "1000"
    assert "NotStandingIn" in idle
