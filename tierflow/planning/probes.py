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
    """The fewest pairs that cross every link that carries calls: each node with the gateway of its site (its node of
    the highest tier, the first by name), and each gateway with the head.
    """
    found = []
    for site in topology.sites:
        nodes = topology.site(site)
        if nodes:
            gateway = _gateway(topology, nodes, head)
            found += [(node.name, gateway) for node in nodes if node.name != gateway]
            found += [(gateway, head)] if gateway != head else []
    return tuple(sorted(pair for pair in found if topology.path(*pair) is not None))


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
