"""One seed on a real fabric; ``make chaos`` runs more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.namespace
def test_no_history_on_a_fabric_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos.run", "--count", "1", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["runs"] == 1
    assert found["acknowledged"] > 0
    assert found["calls answered"] > 0
