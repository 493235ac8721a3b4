"""Small calls over a slow link on which a large object is on its way: they wait for little of it."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

from tests.fabric.conftest import ROOT, free_port
from tierflow.rig import Rig
from tierflow.runtime import launch
from tierflow.topology import parse

pytestmark = pytest.mark.namespace

CLUSTER = """
name: urgent
hosts: rig
nodes:
  - {name: cloud-1, tier: cloud, site: region-1, cpus: 2}
  - {name: gw-1, tier: edge, site: plant-1, cpus: 2}
links:
  - {from: plant-1, to: region-1, rate: 5 Mbit/s, delay: 20 ms}
"""
PROGRAM = """
    import json, os, threading, time
    import numpy as np, ray, tierflow
    @tierflow.actor(node="gw-1", num_cpus=0)
    class Echo:
        def say(self, words): return words
        def large(self, size): return np.frombuffer(np.random.default_rng(0).bytes(size), np.uint8)
    def calls(seconds):
        took, words, until = [], os.urandom(1000), time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            tierflow.get(echo.say.remote(words))
            took.append(time.perf_counter() - began)
            time.sleep(.02)
        return took
    tierflow.init(log_to_driver=False)
    echo = Echo.remote()
    large = echo.large.remote(50_000_000)
    ray.wait([large], fetch_local=False)
    alone = calls(2)
    before, began = tierflow.traffic()["plant-1->region-1"], time.monotonic()
    threading.Thread(target=ray.get, args=(large,), daemon=True).start()
    calls(1)
    beside = calls(8)
    rate = (tierflow.traffic()["plant-1->region-1"] - before) / (time.monotonic() - began)
    print(json.dumps([np.percentile(alone, [50, 99]).tolist(), np.percentile(beside, [50, 99]).tolist(), rate]))
    os._exit(0)
"""


def test_a_call_of_1_kb_waits_for_little_of_50_mb_on_a_link_of_5_mbit_s(leaves_nothing: None, tmp_path: Path) -> None:
    record = launch.up(parse(CLUSTER), port=free_port(), progress=lambda name, what: None)
    try:
        program = tmp_path / "driver.py"
        program.write_text(textwrap.dedent(PROGRAM))
        environment = launch.driver_environment(record) | {"PYTHONPATH": str(ROOT)}
        host = Rig.attach(record.rig).hosts["cloud-1"]
        done = host.run([sys.executable, str(program)], env=environment, cwd=ROOT, timeout=90, check=False)
    finally:
        launch.down(record)
    assert done.stdout.strip(), done.stderr.decode()
    alone, beside, rate = json.loads(done.stdout.splitlines()[-1])
    print(alone, beside, rate)
    assert beside[1] < 1.0  # one of Ray's own chunks occupies the link for 8 s
    assert rate > 0.8 * 625_000
