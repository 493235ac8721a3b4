"""Each task runs on a host of the tier that it asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fabric.conftest import Driver
from tierflow.rig import Rig

pytestmark = pytest.mark.namespace

PROGRAM = """
    import json, os
    import tierflow

    def here():
        return os.stat("/proc/self/ns/net").st_ino

    @tierflow.task(tier="device")
    def on_device(): return here()

    @tierflow.task(tier="edge")
    def on_edge(): return here()

    @tierflow.task(tier="cloud")
    def on_cloud(): return here()

    @tierflow.task(node="cam-2")
    def on_cam_2(): return here()

    @tierflow.actor(tier=("edge", "cloud"))
    class Counter:
        def __init__(self): self.count = 0
        def add(self): self.count += 1; return self.count, here()

    counter = Counter.remote()
    tierflow.get(counter.add.remote())
    count, place = tierflow.get(counter.add.remote())
    where = tierflow.placement(counter)
    try:
        tierflow.get(tierflow.task(on_edge.__wrapped__, tier="moon").remote())
    except tierflow.NoPlacement as error:
        refused = str(error)
    print("RESULT" + json.dumps(dict(
        device=tierflow.get(on_device.remote()), edge=tierflow.get(on_edge.remote()),
        cloud=tierflow.get(on_cloud.remote()), cam_2=tierflow.get(on_cam_2.remote()),
        actor=place, count=count, where=[where.node, where.why], refused=refused,
        explained=[row.node for row in tierflow.explain(counter).alternatives],
        nodes=[node.name for node in tierflow.nodes()], links=len(tierflow.traffic()),
    )))
"""


@pytest.fixture(scope="module")
def result(drive: Driver) -> dict[str, Any]:
    done = drive(PROGRAM)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT")[2])
    return found


def test_each_task_runs_in_the_namespace_of_the_tier_it_asked_for(result: dict[str, Any], rig: Rig) -> None:
    place = {name: host.namespace.stat().st_ino for name, host in rig.hosts.items()}
    assert result["device"] in {place["cam-1"], place["cam-2"], place["cam-3"]}
    assert result["edge"] == place["gw-1"]
    assert result["cloud"] == place["cloud-1"]
    assert result["cam_2"] == place["cam-2"]
    assert (result["actor"], result["count"]) == (place["gw-1"], 2)


def test_the_fabric_says_who_is_in_it_where_an_actor_runs_and_why(result: dict[str, Any]) -> None:
    assert result["nodes"] == ["cam-1", "cam-2", "cam-3", "cloud-1", "gw-1"]
    assert result["links"] == 12
    assert result["where"][0] == "gw-1"
    assert "asked for tier edge or cloud, 1 CPU; chosen by predicted cost" in result["where"][1]
    assert result["explained"][:2] == ["gw-1", "cloud-1"]


def test_what_no_node_can_run_is_refused_with_a_row_for_each_node(result: dict[str, Any]) -> None:
    for name in ("cam-1", "cam-2", "cam-3", "cloud-1", "gw-1"):
        assert name in result["refused"]
