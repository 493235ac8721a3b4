from __future__ import annotations

from typing import Any

from tierflow.rig.calibrate import routes
from tierflow.rig.plan import addresses, mtu, mtus, plan
from tierflow.topology import ClusterSpec, Topology


def config(spec: ClusterSpec) -> dict[str, Any]:
    return plan(spec, {node.name: f"/ns/{node.name}" for node in spec.nodes})


def test_every_node_has_an_address_of_its_own(spec: ClusterSpec) -> None:
    assert addresses(Topology.of(spec)) == {"cloud-1": "10.77.0.1", "gw-1": "10.77.0.2", "cam-1": "10.77.0.3"}


def test_packets_are_large_only_where_the_slowest_link_is_fast(spec: ClusterSpec) -> None:
    assert mtu(50e6 / 8) == 1500
    assert mtu(51e6 / 8) == 9000
    sizes = mtus(config(spec))
    assert sizes["cam-1"] == {"10.77.0.1": 1500, "10.77.0.2": 1500}


def test_each_link_is_measured_where_it_is_alone_or_at_least_the_slowest(spec: ClusterSpec) -> None:
    made = config(spec)
    shapes = [{"rate": None, "delay": 0.0, "jitter": 0.0, **link["shape"]} for link in made["links"]]
    chosen = {made["links"][route.link]["name"]: route for route in routes(made, shapes)}
    assert set(chosen) == {"cam-1->plant-1", "plant-1->cam-1", "plant-1->region-1", "region-1->plant-1"}
    assert all(route.isolated and route.limits for route in chosen.values())
    assert (chosen["cam-1->plant-1"].source, chosen["cam-1->plant-1"].target) == ("cam-1", "gw-1")
    assert (chosen["plant-1->region-1"].source, chosen["plant-1->region-1"].target) == ("gw-1", "cloud-1")
