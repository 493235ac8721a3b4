"""The facts of this very machine."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from importlib import metadata

import psutil

from tierflow.runtime.hardware import hardware


def test_the_facts_are_those_of_this_machine() -> None:
    found = hardware()
    assert found.cores == psutil.cpu_count()
    assert 0 < found.memory <= psutil.virtual_memory().total
    assert found.cpu
    assert found.numpy == metadata.version("numpy")
    assert found.battery is None or 0 <= found.battery.share <= 1


def test_they_are_small_and_travel() -> None:
    found = hardware()
    wire = pickle.dumps(found)
    assert pickle.loads(wire) == found
    assert len(wire) < 1000


def test_the_key_tells_apart_what_makes_a_node_faster_or_slower() -> None:
    found = replace(hardware(), quota=None)
    others = [
        replace(found, quota=0.2),
        replace(found, cpu="other"),
        replace(found, torch=""),
        replace(found, cores=99),
    ]
    assert len({found.key, *(other.key for other in others)}) == 5
    assert found.key == replace(found, memory=1, battery=None).key


def test_torch_is_not_loaded_for_them() -> None:
    program = "import sys; from tierflow.runtime.hardware import hardware; hardware(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
