"""What a cluster file asks of a rig, as plain values: addresses, shapes, paths and packet sizes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tierflow.errors import RigError
from tierflow.rig.shaping import Shape
from tierflow.topology import ClusterSpec, Link, Topology

__all__ = ["LARGEST_MTU", "addresses", "mtu", "mtus", "plan"]

LARGEST_MTU = 9000
_SMALL_MTU, _FAST = 1500, 6.25e6
_PER_NET = 250


def addresses(topology: Topology) -> dict[str, str]:
    """An address in 10.77.0.0/16 for each node, in the order of the file.

    Raises:
        RigError: there are more nodes than addresses.
    """
    if len(topology.nodes) > 250 * _PER_NET:
        raise RigError(f"one rig has no addresses for {len(topology.nodes)} nodes", "split the cluster file")
    return {node.name: f"10.77.{index // _PER_NET}.{index % _PER_NET + 1}" for index, node in enumerate(topology.nodes)}


def shape(link: Link) -> Shape:
    """How the rig shapes a link; an unshaped one passes everything at once."""
    return Shape(link.rate, link.delay, link.jitter, link.loss) if link.shaped else Shape()


def mtu(rate: float) -> int:
    """The largest packet for a path of this rate (bytes per second).

    Above 50 Mbit/s large packets, so that the emulator keeps up; below, small ones, which a slow link sends quickly.
    """
    return LARGEST_MTU if rate > _FAST else _SMALL_MTU


def mtus(config: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """For each node, the largest packet to each other node's address."""
    address = {node["name"]: node["address"] for node in config["nodes"]}
    sizes: dict[str, dict[str, int]] = {name: {} for name in address}
    for source, target, path in config["paths"]:
        rates = (config["links"][link]["shape"].get("rate", float("inf")) for link in path)
        sizes[source][address[target]] = mtu(min(rates))
    return sizes


def plan(spec: ClusterSpec, namespace_of: Mapping[str, str]) -> dict[str, Any]:
    """What the emulator has to know, as JSON: nodes, sites, links with their shapes, and the path of each pair.

    `namespace_of` gives the path of each node's namespace. Rates stay as declared when a link is changed later.
    """
    topology = Topology.of(spec)
    address = addresses(topology)
    return {
        "nodes": [
            {"name": n.name, "site": n.site, "address": address[n.name], "namespace": namespace_of[n.name]}
            for n in topology.nodes
        ],
        "sites": list(topology.sites),
        "links": [
            {
                "name": link.name,
                "source": link.source,
                "target": link.target,
                "shape": asdict(shape(link)) if link.shaped else {},
            }
            for link in topology.links
        ],
        "paths": [
            (a.name, b.name, path)
            for a in topology.nodes
            for b in topology.nodes
            if a is not b and (path := topology.path(a.name, b.name)) is not None
        ],
    }
