"""The demo's nodes and links, every node with a thread of speed 1: then costs are easy to work out by hand."""

from __future__ import annotations

from pathlib import Path

from tierflow.topology import Topology, load
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, NodeChange

__all__ = ["even_demo"]


def even_demo() -> Conditions:
    """As if each node had been declared with speed 1."""
    declared = Conditions.of(Topology.of(load(Path(__file__).parents[1] / "clusters/demo.yaml")))
    even = NodeChange(speed=Value(1.0, 0.25, Source.DECLARED), dispatch=Value(0.002, 0.002, Source.DECLARED))
    return declared.changed(dict.fromkeys(declared.fixed.nodes, even))
