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


def test_a_node_takes_over_from_its_earlier_life_before_it_starts() -> None:
    argv = NodeStart("gw-1", "edge", "plant-1", "10.77.0.1:6379", address="10.77.0.2").argv()
    assert argv[1:7] == ["-m", "tierflow.runtime.incarnation", "gw-1", "10.77.0.2", "10.77.0.1:6379", "start"]


def test_an_island_is_the_same_node_on_its_loopback_address_alone() -> None:
    argv = (
        NodeStart("cam-1", "device", "plant-1", "10.77.0.1:6379", address="10.77.0.3", folder="/tmp/x").island().argv()
    )
    assert {"--head", "--node-ip-address=127.77.0.1", "--include-dashboard=false", "--temp-dir=/tmp/xi"} <= set(argv)
    assert "--labels=tierflow.io/tier=device,tierflow.io/site=plant-1,tierflow.io/node=cam-1" in argv
    assert "10.77.0" not in " ".join(argv)


def test_the_note_of_a_head_that_ran_here_is_removed(tmp_path: Path) -> None:
    start = NodeStart("cloud-1", "cloud", "region-1", "10.77.0.1:6379", is_head=True, folder=str(tmp_path))
    start.forget_head()
    (tmp_path / "ray_current_cluster").write_text("10.77.0.1:6379")
    start.forget_head()
    assert not list(tmp_path.iterdir())
