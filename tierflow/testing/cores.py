"""When the cores of nodes are free, in virtual time."""

from __future__ import annotations

import math

from tierflow.topology import Topology

__all__ = ["Cores"]


class Cores:
    """The cores of every node; a task that asks for none waits for none."""

    def __init__(self, topology: Topology) -> None:
        self._until = {node.name: [0.0] * max(1, math.floor(node.cpus)) for node in topology.nodes}

    def free(self, node: str, cpus: float) -> float:
        """When (virtual seconds) a node has so many free."""
        return max(sorted(self._until[node])[: self._count(node, cpus)], default=0.0)

    def take(self, node: str, cpus: float, until: float) -> None:
        """Let those that are free first be taken until a moment."""
        count, taken = self._count(node, cpus), sorted(self._until[node])
        self._until[node] = [until] * count + taken[count:]

    def _count(self, node: str, cpus: float) -> int:
        return min(math.ceil(cpus), len(self._until[node]))
