"""Versions of a model over a real link that is cut: what is here is served, a broken transfer goes on, little moves."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fabric.conftest import ROOT, Driver
from tierflow.rig import Rig
from tierflow.runtime import launch
from tierflow.runtime.record import FabricRecord, node_folder
from tierflow.runtime.settings import NODE_FOLDER

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("measured")]

PUBLISH = """
    import torch, tierflow
    torch.manual_seed(0)
    state = {{f"layer{{number}}.weight": torch.randn(256, 256) for number in range(16)}}
    {change}
    print("RESULT", tierflow.publish("network", state))
"""
FIRST, ALL, ONE = (
    "",
    "state = {name: part + 1 for name, part in state.items()}",
    "state = {name: part + 1 for name, part in state.items()}; state['layer3.weight'] += 1",
)

FOLLOW = """
    import json, sys, time, tierflow
    model = tierflow.follow("network")
    told = 0
    while True:
        if model.version != told:
            told = model.version
            print(json.dumps([told, time.time(), round(float(model.value["layer3.weight"].mean()))]), flush=True)
        time.sleep(0.05)
"""


def bytes_down(rig: Rig) -> int:
    return rig.counters()["plant-1->cam-1"].bytes


def test_a_model_comes_down_through_a_cut_and_a_small_change_is_a_small_transfer(
    fabric: FabricRecord, rig: Rig, drive: Driver, tmp_path: Path
) -> None:
    def publish(change: str) -> int:
        done = drive(PUBLISH.format(change=change))
        assert "RESULT" in done.stdout, done.stderr
        return int(done.stdout.rpartition("RESULT")[2])

    file = tmp_path / "follow.py"
    file.write_text(textwrap.dedent(FOLLOW))
    environment = launch.driver_environment(fabric) | {
        "PYTHONPATH": str(ROOT),
        NODE_FOLDER: str(node_folder(Path(fabric.state), "cam-1")),
    }
    chunks = node_folder(Path(fabric.state), "cam-1") / "followed" / "network" / "chunks"

    def until(holds: Callable[[], bool], patience: float = 60) -> None:
        end = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.05)

    with rig.hosts["cam-1"].popen(
        [sys.executable, str(file)], env=environment, cwd=ROOT, stdout=subprocess.PIPE
    ) as follower:
        assert follower.stdout is not None
        lines = iter(follower.stdout.readline, b"")

        def arrived() -> Any:
            return json.loads(next(lines))

        try:
            before = bytes_down(rig)
            assert publish(FIRST) == 1
            assert arrived()[::2] == [1, 0]
            first = bytes_down(rig) - before

            whole = set(chunks.iterdir())
            rig.set("cam-1<->plant-1", rate=500_000)
            before = bytes_down(rig)
            assert publish(ALL) == 2
            until(lambda: len(set(chunks.iterdir()) - whole) > 5)
            rig.cut("cam-1")
            time.sleep(6)
            assert follower.poll() is None  # and has told of nothing but version 1, which it serves
            rig.heal("cam-1")
            healed = time.time()
            version, at, mean = arrived()
            assert (version, mean) == (2, 1)
            second = bytes_down(rig) - before
            rig.set("cam-1<->plant-1", rate=6.25e6)

            before = bytes_down(rig)
            assert publish(ONE) == 3
            assert arrived()[::2] == [3, 2]
            third = bytes_down(rig) - before
        finally:
            rig.heal("cam-1")
            rig.set("cam-1<->plant-1", rate=6.25e6)
            follower.kill()
    print(f"{first} bytes, {second} with a cut ({at - healed:.1f} s after the heal), {third} for one layer of 16")
    assert second < 1.3 * first
    assert third < 0.15 * first
