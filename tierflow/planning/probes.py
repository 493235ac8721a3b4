"""Which pairs of nodes measure the links between them, and when again."""

from __future__ import annotations

from collections.abc import Iterator

from tierflow.topology import NodeSpec, Topology

__all__ = ["Pair", "pairs", "waits"]

Pair = tuple[str, str]
SOON, LATEST = 2.0, 60.0
"""Seconds until a link that has become slower is looked at again: the first time, and the longest between two looks."""
LOOKS = 15
"""How often it is looked at: for about ten minutes. Then it is taken to be so."""


def pairs(topology: Topology, head: str) -> tuple[Pair, ...]:
    """Few pairs that cross every link that carries calls: each node with the gateway of its site (its node of the
    highest tier, the first by name) and each gateway with the head. Where that leaves out links, as those of a node
    that has a way of its own out of its site: such nodes with the head, and the ends of links between other sites.
    """
    gateways = {site: _gateway(topology, nodes, head) for site in topology.sites if (nodes := topology.site(site))}
    names = sorted(node.name for node in topology.nodes)
    wanted = {(name, gateways[topology.node(name).site]) for name in names} | {
        (name, head) for name in gateways.values()
    }
    found = {pair for pair in wanted if pair[0] != pair[1] and topology.path(*pair) is not None}
    crossed = {link for pair in found for link in _links(topology, pair)}
    ends = [sorted(gateways.get(end, end) for end in (link.source, link.target)) for link in topology.links]
    between = sorted({(a, b) for a, b in ends if a not in topology.sites and b not in topology.sites})
    for pair in (*((name, head) for name in names), *between):
        further = _links(topology, pair) - crossed
        if further:
            found.add(pair)
            crossed |= further
    return tuple(sorted(found))


def _links(topology: Topology, pair: Pair) -> set[int]:
    """The links between a pair, there and back."""
    return {*(topology.path(*pair) or ()), *(topology.path(*reversed(pair)) or ())}


def _gateway(topology: Topology, nodes: tuple[NodeSpec, ...], head: str) -> str:
    if any(node.name == head for node in nodes):
        return head
    tiers = {tier: place for place, tier in enumerate(topology.tiers)}
    return min(nodes, key=lambda node: (-tiers[node.tier], node.name)).name


def waits() -> Iterator[float]:
    """Seconds before each new look at a link that has become slower, as long as it may still be a passing thing.

    Nobody sends over it meanwhile, so nobody else finds out that it is well again.
    """
    wait = SOON
    for _ in range(LOOKS):
        yield wait
        wait = min(2 * wait, LATEST)
