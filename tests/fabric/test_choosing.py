"""Calls that name no node go where they are predicted to end first, and move when that changes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import pytest

from tests.fabric.conftest import ROOT
from tierflow.rig import Rig
from tierflow.runtime import launch
from tierflow.runtime.record import FabricRecord

pytestmark = pytest.mark.namespace

STREAM = """
import json, sys, time
import numpy as np
import tierflow

@tierflow.task
def recognise(frame):
    image = np.frombuffer(frame, np.uint8).astype(np.float32)[:16384].reshape(128, 128)
    began = time.thread_time()
    while time.thread_time() - began < 0.4:
        image = np.tanh(image @ image.T * 1e-4)
    return float(image.sum())

frame = np.random.default_rng(0).integers(0, 255, 30_000, np.uint8).tobytes()
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    began = time.monotonic()
    ref = recognise.remote(frame)
    tierflow.get(ref)
    why = tierflow.explain(ref)
    print(json.dumps([time.monotonic() - began, why.observed.node, why.predicted]), flush=True)
"""


def test_placements_follow_a_link_and_come_back_without_flapping(
    fabric: FabricRecord, rig: Rig, tmp_path: Path
) -> None:
    program = tmp_path / "stream.py"
    program.write_text(STREAM)
    environment = launch.driver_environment(fabric) | {"PYTHONPATH": str(ROOT)}
    argv = [sys.executable, str(program), "100"]
    calls: list[tuple[float, str, float]] = []

    def follow(process: subprocess.Popen[bytes], node: str, patience: float) -> None:
        """Read calls until four in a row were on a node."""
        until = time.monotonic() + patience
        assert process.stdout is not None
        while [call[1] for call in calls[-4:]] != [node] * 4:
            assert time.monotonic() < until, calls
            line = process.stdout.readline()
            assert line, calls
            calls.append(tuple(json.loads(line)))

    with rig.hosts["cam-1"].popen(argv, env=environment, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            follow(process, "cloud-1", 40)
            rig.set("plant-1<->region-1", rate=6e4)
            before = len(calls)
            follow(process, "gw-1", 20)
            assert [node for _, node, _ in calls[before:]].count("cloud-1") <= 2
            rig.set("plant-1<->region-1", rate=2.5e6)
            follow(process, "cloud-1", 30)
        finally:
            process.kill()
            rig.set("plant-1<->region-1", rate=2.5e6)
    moves = [node for node, _ in groupby(node for _, node, _ in calls)]
    assert len(moves) <= 7, calls
    assert len(calls) > 20
