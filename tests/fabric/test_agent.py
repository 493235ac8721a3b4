"""Agents on the hosts of a real fabric: the paths between them, and a node that others keep busy."""

from __future__ import annotations

import sys

import pytest

from tests.fabric.conftest import Driver
from tierflow.rig import Rig

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("measured")]

AGENTS = """
    NODES = {nodes}
    import time, ray
    from tierflow.runtime import probe
    from tierflow.runtime.agent import Agent
    ray.init(log_to_driver=False)

    def at(node):
        return {"num_cpus": 0, "label_selector": {"tierflow.io/node": node}}

    agents = {name: ray.remote(Agent).options(**at(name)).remote(name) for name in NODES}
"""

PATHS = (
    AGENTS
    + """
    ports = {row["NodeName"]: (row["NodeManagerAddress"], row["NodeManagerPort"]) for row in ray.nodes()}

    def path(source, target):
        trip = ray.get(agents[source].round_trip.remote(*ports[target]))
        def send(size):
            return ray.get(agents[target].take.remote(ray.get(agents[source].make.remote(size))))
        return trip, probe.rate(send, trip).value

    for source, target, bits in [("cam-1", "cloud-1", 20e6), ("cloud-1", "cam-1", 20e6), ("cam-1", "gw-1", 50e6)]:
        trip, rate = path(source, target)
        for _ in range(3):  # whatever else is on the link for a moment takes of its rate, and nothing adds to it
            if rate < 0.85 * bits / 8:
                rate = max(rate, path(source, target)[1])
        print(source, target, trip, rate)
"""
)

BUSY = (
    AGENTS
    + """
    @ray.remote(num_cpus=0)
    class Registry:
        def __init__(self):
            self.heard = []
        def busy(self, name, value):
            self.heard.append(value.value)
        def all(self):
            return self.heard

    registry = Registry.options(**at("cloud-1")).remote()
    ray.get(agents["gw-1"].watch.remote(registry.busy.remote, 0.5))
    until = time.monotonic() + 15
    while not ray.get(registry.all.remote()) and time.monotonic() < until:
        time.sleep(0.3)
    print(*ray.get(registry.all.remote()))
"""
)


def test_agents_measure_the_paths_between_them(drive: Driver) -> None:
    done = drive(PATHS.replace("{nodes}", "['cam-1', 'gw-1', 'cloud-1']"), timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    found = {(source, target): (float(trip), float(rate)) for source, target, trip, rate in rows}
    assert found["cam-1", "cloud-1"][0] == pytest.approx(0.056, abs=0.006)
    assert found["cam-1", "gw-1"][0] == pytest.approx(0.006, abs=0.004)
    assert found["cam-1", "cloud-1"][1] == pytest.approx(20e6 / 8, rel=0.2)
    assert found["cloud-1", "cam-1"][1] == pytest.approx(20e6 / 8, rel=0.2)
    assert found["cam-1", "gw-1"][1] == pytest.approx(50e6 / 8, rel=0.25)


def test_a_node_that_others_keep_busy_says_so(drive: Driver, rig: Rig) -> None:
    argv = [sys.executable, "-S", "-c", "while True: pass"]
    with rig.hosts["gw-1"].popen(argv) as other:
        try:
            done = drive(BUSY.replace("{nodes}", "['gw-1']"))
        finally:
            other.kill()
    assert done.returncode == 0, done.stderr
    assert 0.3 < float(done.stdout.split()[0]) < 1
