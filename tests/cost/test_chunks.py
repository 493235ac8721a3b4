"""Chunks of large objects: short on a slow link, Ray's own where all links are fast; a window that fills the link."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given

from tierflow.cost.chunks import LEAST, MOST, OCCUPY, TURN, chunk_size, window
from tierflow.runtime.settings import transfer_environment
from tierflow.testing.strategies import cluster_specs
from tierflow.topology import ClusterSpec, Topology, load, parse

CLUSTERS = Path(__file__).parents[2] / "clusters"
SLOW = """
name: slow
hosts: rig
nodes:
  - {name: cloud-1, tier: cloud, site: region-1}
  - {name: gw-1, tier: edge, site: plant-1}
links: [{from: plant-1, to: region-1, rate: RATE, delay: 20 ms}]
"""


def between(rate: str) -> Topology:
    return Topology.of(parse(SLOW.replace("RATE", rate)))


def test_a_slow_link_is_occupied_for_a_tenth_of_a_second_by_one_chunk() -> None:
    slow = between("5 Mbit/s")
    assert chunk_size(slow) == 32_768
    assert window(slow, "gw-1", 32_768) == 5 * 32_768  # 625 kB/s for 160 ms, and the chunk that is being sent
    assert chunk_size(between("20 Mbit/s")) == 131_072


def test_where_all_is_fast_ray_sends_as_it_does() -> None:
    assert chunk_size(between("1 Gbit/s")) is None
    assert transfer_environment(Topology.of(load(CLUSTERS / "one-machine.yaml")), "gw-1") == {}


def test_a_node_that_the_file_does_not_name_cuts_as_all_do_and_has_rays_window() -> None:
    assert transfer_environment(between("5 Mbit/s"), "new") == {"RAY_object_manager_default_chunk_size": "32768"}


@given(spec=cluster_specs())
def test_all_nodes_cut_alike_and_each_can_fill_its_best_way_to_another_site(spec: ClusterSpec) -> None:
    topology = Topology.of(spec)
    size = chunk_size(topology)
    slowest = min((link.rate for link in topology.links), default=math.inf)
    if size is None:
        assert slowest * OCCUPY >= MOST
        return
    assert LEAST <= size <= max(LEAST, slowest * OCCUPY)
    assert size & (size - 1) == 0
    for node in topology.nodes:
        most = window(topology, node.name, size)
        for other in topology.nodes:
            path = topology.path(node.name, other.name)
            links = [topology.links[index] for index in path or ()]
            if other.site == node.site or not links or min(link.rate for link in links) == math.inf:
                continue
            assert most is not None
            assert most % size == 0
            assert most >= min(link.rate for link in links) * (2 * sum(link.delay for link in links) + TURN)
