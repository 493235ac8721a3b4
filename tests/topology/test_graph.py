"""The graph: its links by direction, and paths against a brute force."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.testing.strategies import cluster_specs
from tierflow.topology import ClusterSpec, Link, LinkSpec, NodeSpec, Topology, parse


def names(topology: Topology, source: str, target: str) -> list[str]:
    path = topology.path(source, target)
    assert path is not None
    return [topology.links[index].name for index in path]


def test_a_node_without_a_link_to_its_site_gets_a_plain_one(valid: str) -> None:
    topology = Topology.of(parse(valid))
    lan = Link("gw-1->plant-1", "gw-1", "plant-1", 125e6, 1e-4, radio="ethernet", shaped=False)
    assert topology.link("gw-1->plant-1") == lan
    assert {link.name for link in topology.links if link.shaped} == {"plant-1->region-1", "region-1->plant-1"}


def test_a_declared_link_takes_the_place_of_the_plain_one(valid: str) -> None:
    topology = Topology.of(parse(valid + "  - {from: cam-1, to: plant-1, rate: 1 Mbit/s, delay: 3 ms, radio: lora}\n"))
    assert topology.link("plant-1->cam-1") == Link("plant-1->cam-1", "plant-1", "cam-1", 125e3, 0.003, radio="lora")


def test_the_way_back_has_the_same_values_but_those_of_reverse(valid: str) -> None:
    topology = Topology.of(parse(valid + "    loss: 1 %\n    reverse: {rate: 8 bit/s, price: 1 $/GB}\n"))
    there, back = topology.link("plant-1->region-1"), topology.link("region-1->plant-1")
    assert (there.rate, there.price, there.delay, there.loss) == (2.5e6, 0.0, 0.025, 0.01)
    assert (back.rate, back.price, back.delay, back.loss) == (1.0, 1e-9, 0.025, 0.01)


def test_the_path_leads_over_the_switches_of_the_sites(valid: str) -> None:
    topology = Topology.of(parse(valid))
    assert names(topology, "cam-1", "cloud-1") == ["cam-1->plant-1", "plant-1->region-1", "region-1->cloud-1"]
    assert names(topology, "cam-1", "gw-1") == ["cam-1->plant-1", "plant-1->gw-1"]
    assert names(topology, "plant-1", "region-1") == ["plant-1->region-1"]
    assert topology.path("cam-1", "cam-1") == ()
    assert topology.path("cam-1", "nowhere") is None


def test_a_slower_but_nearer_link_is_the_path(valid: str) -> None:
    topology = Topology.of(parse(valid + "  - {from: cam-1, to: region-1, rate: 1 kbit/s, delay: 1 ms, radio: lte}\n"))
    assert names(topology, "cam-1", "cloud-1") == ["cam-1->region-1", "region-1->cloud-1"]


def test_of_two_paths_of_one_delay_the_shorter_wins_and_then_the_first_by_name() -> None:
    def spec(*ends: tuple[str, str, float]) -> ClusterSpec:
        nodes = (NodeSpec(name="a", tier="device", site="s"), NodeSpec(name="z", tier="cloud", site="t"))
        links = tuple(LinkSpec(source=a, target=b, rate=1.0, delay=delay) for a, b, delay in ends)
        return ClusterSpec(name="x", hosts="rig", sites=("s", "t", "m", "n"), nodes=nodes, links=links)

    tie = spec(("s", "n", 0.1), ("n", "t", 0.2), ("s", "m", 0.2), ("m", "t", 0.1))
    assert names(Topology.of(tie), "s", "t") == ["s->m", "m->t"]
    shorter = spec(("s", "m", 0.1), ("m", "t", 0.2), ("s", "t", 0.3))
    assert names(Topology.of(shorter), "s", "t") == ["s->t"]


def test_nodes_and_sites_are_found_by_name(valid: str) -> None:
    topology = Topology.of(parse(valid.replace("hosts: rig", "hosts: rig\nsites: [backbone, plant-1, region-1]")))
    assert topology.node("gw-1").tier == "edge"
    assert [node.name for node in topology.site("plant-1")] == ["gw-1", "cam-1"]
    assert topology.sites == ("backbone", "plant-1", "region-1")
    assert topology.site("backbone") == ()
    with pytest.raises(KeyError):
        topology.node("gw-2")


def test_the_head_is_the_marked_node_or_the_first_of_the_last_tier(valid: str) -> None:
    first = "{name: cloud-1, tier: cloud, site: region-1}"
    both = f"{first}\n  - {{name: cloud-2, tier: cloud, site: region-1}}"
    assert parse(valid.replace(first, both)).head.name == "cloud-1"
    marked = both.removesuffix("}") + ", head: true}"
    assert parse(valid.replace(first, marked)).head.name == "cloud-2"


def nanoseconds(topology: Topology, path: tuple[int, ...]) -> int:
    return sum(round(topology.links[index].delay * 1e9) for index in path)


@given(spec=cluster_specs())
def test_no_path_is_shorter_than_the_one_found(spec: ClusterSpec) -> None:
    """Floyd and Warshall's three loops know the least delay between any two vertices."""
    topology = Topology.of(spec)
    vertices = [*(node.name for node in topology.nodes), *topology.sites]
    least = {(a, b): 0 if a == b else 1 << 62 for a, b in product(vertices, repeat=2)}
    for link in topology.links:
        ends = link.source, link.target
        least[ends] = min(least[ends], round(link.delay * 1e9))
    for via, a, b in product(vertices, repeat=3):
        least[a, b] = min(least[a, b], least[a, via] + least[via, b])
    for (a, b), delay in least.items():
        path = topology.path(a, b)
        assert (path is None) == (delay >= 1 << 62)
        if path is not None:
            assert nanoseconds(topology, path) == delay


@given(spec=cluster_specs())
def test_a_path_is_links_end_to_end_and_has_a_way_back(spec: ClusterSpec) -> None:
    topology = Topology.of(spec)
    for a, b in product((node.name for node in topology.nodes), repeat=2):
        path = topology.path(a, b)
        assert path is not None
        assert topology.path(b, a) is not None
        links = [topology.links[index] for index in path]
        ends = [a, *(link.target for link in links)]
        assert ends == [*(link.source for link in links), b]
        assert len(set(ends)) == len(ends)


@given(spec=cluster_specs(), seed=st.integers(0, 1000))
def test_the_order_of_the_file_changes_no_path(spec: ClusterSpec, seed: int) -> None:
    shuffled = random.Random(seed)
    nodes, links = (tuple(shuffled.sample(rows, len(rows))) for rows in (spec.nodes, spec.links))
    one, other = Topology.of(spec), Topology.of(spec.model_copy(update={"nodes": nodes, "links": links}))
    for a, b in product((node.name for node in spec.nodes), repeat=2):
        assert names(one, a, b) == names(other, a, b)
