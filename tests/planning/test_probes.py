from __future__ import annotations

from itertools import pairwise

import yaml
from hypothesis import given

from tierflow.planning.probes import LATEST, LOOKS, SOON, pairs, waits
from tierflow.testing.strategies import cluster_specs
from tierflow.topology import ClusterSpec, Topology

PLANTS = """
name: plants
hosts: local
sites: [region-1, plant-1, plant-2, backbone]
nodes:
  - {name: cloud-2, tier: cloud, site: region-1}
  - {name: cloud-1, tier: cloud, site: region-1}
  - {name: gw-1, tier: edge, site: plant-1}
  - {name: cam-2, tier: device, site: plant-1}
  - {name: cam-1, tier: device, site: plant-1}
  - {name: cam-3, tier: device, site: plant-2}
  - {name: cam-4, tier: device, site: plant-2}
links:
  - {from: plant-1, to: backbone, rate: 20 Mbit/s, delay: 20 ms}
  - {from: plant-2, to: backbone, rate: 20 Mbit/s, delay: 20 ms}
  - {from: backbone, to: region-1, rate: 1 Gbit/s, delay: 5 ms}
"""
TREE = (
    ("cam-1", "gw-1"),
    ("cam-2", "gw-1"),
    ("cam-3", "cloud-2"),
    ("cam-4", "cam-3"),
    ("cloud-1", "cloud-2"),
    ("gw-1", "cloud-2"),
)


def plants(more: str = "") -> Topology:
    return Topology.of(ClusterSpec.model_validate(yaml.safe_load(PLANTS + more)))


def links(topology: Topology, source: str, target: str) -> set[str]:
    return {topology.links[at].name for at in topology.path(source, target) or ()}


def test_nodes_probe_their_gateway_and_gateways_the_head() -> None:
    assert pairs(plants(), "cloud-2") == TREE


def test_the_head_is_the_gateway_of_its_site() -> None:
    assert ("cloud-2", "cloud-1") in pairs(plants(), "cloud-1")
    assert ("gw-1", "cam-1") in pairs(plants(), "cam-1")


def test_a_node_with_a_way_of_its_own_probes_that_too() -> None:
    lte = plants("  - {from: cam-2, to: region-1, rate: 5 Mbit/s, delay: 25 ms, radio: lte}\n")
    assert set(pairs(lte, "cloud-2")) - set(TREE) == {("cam-2", "cloud-2")}


def test_a_link_between_two_plants_is_probed() -> None:
    ring = plants("  - {from: plant-1, to: plant-2, rate: 5 Mbit/s, delay: 1 ms}\n")
    assert set(pairs(ring, "cloud-2")) - set(TREE) == {("cam-3", "gw-1")}
    one_way = plants("  - {from: plant-1, to: plant-2, rate: 5 Mbit/s, delay: 1 ms, both: false}\n")
    assert set(pairs(one_way, "cloud-2")) - set(TREE) == {("cam-3", "gw-1")}


def test_a_link_that_carries_nothing_is_not() -> None:
    slow = plants("  - {from: plant-1, to: plant-2, rate: 5 Mbit/s, delay: 1 s}\n")
    assert pairs(slow, "cloud-2") == TREE


@given(cluster_specs())
def test_every_link_that_carries_calls_of_the_head_is_crossed(spec: ClusterSpec) -> None:
    topology, head = Topology.of(spec), spec.head.name
    found = pairs(topology, head)
    crossed = {name for a, b in found for name in links(topology, a, b) | links(topology, b, a)}
    for node in topology.nodes:
        assert links(topology, head, node.name) | links(topology, node.name, head) <= crossed
    assert all(a != b for a, b in found)
    assert len(found) == len({frozenset(pair) for pair in found})
    assert len(found) <= len(topology.nodes) + len(topology.links)
    turned = spec.model_copy(update={"nodes": spec.nodes[::-1], "links": spec.links[::-1]})
    assert pairs(Topology.of(turned), head) == found


def test_looks_become_rarer_and_end() -> None:
    seconds = list(waits())
    assert (seconds[0], seconds[-1], len(seconds)) == (SOON, LATEST, LOOKS)
    assert all(later == min(2 * wait, LATEST) for wait, later in pairwise(seconds))
    assert 540 < sum(seconds) < 720
