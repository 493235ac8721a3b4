"""The command that starts a Ray node."""

from __future__ import annotations

from pathlib import Path

from tierflow.runtime.node import NodeStart


def test_a_node_carries_its_labels_and_its_tier_as_a_resource() -> None:
    argv = NodeStart("gw-1", "edge", "plant-1", "10.77.0.1:6379", address="10.77.0.2", cpus=2).argv()
    assert "--address=10.77.0.1:6379" in argv
    assert '--resources={"edge": 2}' in argv
    assert "--labels=tierflow.io/tier=edge,tierflow.io/site=plant-1,tierflow.io/node=gw-1" in argv
    assert "--head" not in argv


def test_the_head_listens_on_its_port_and_keeps_its_dashboard_to_itself() -> None:
    argv = NodeStart("cloud-1", "cloud", "region-1", "10.77.0.1:6379", is_head=True, dashboard=9000).argv()
    assert {"--head", "--port=6379", "--dashboard-host=127.0.0.1", "--dashboard-port=9000"} <= set(argv)
    assert not any(word.startswith("--address") for word in argv)


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    start = NodeStart("cam-1", "device", "plant-1", "10.77.0.1:6379", memory=2**30, folder="/tmp/x")
    assert NodeStart.read(start.save(tmp_path / "node.json")) == start
