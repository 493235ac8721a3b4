"""Every path from one vertex to all nodes, or from all nodes to one vertex, as flat arrays of link indices."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierflow.topology.graph import Topology

__all__ = ["Routes"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Routes:
    """The links of one path per node, end to end in `links`; node `i`'s begin at `starts[i]`.

    Each path ends with the index one past the last link, which stands for no link: so that no path is empty, and
    `np.add.reduceat` and `np.minimum.reduceat` over a column with one neutral value more give one number per node.
    `reached` says which nodes have a path at all.
    """

    links: NDArray[np.intp]
    starts: NDArray[np.intp]
    reached: NDArray[np.bool_]

    @classmethod
    def to_nodes(cls, topology: Topology, source: str) -> Routes:
        """The paths from `source` to each node: those of `Topology.path`."""
        return cls._joined(topology, {node.name: topology.path(source, node.name) for node in topology.nodes})

    @classmethod
    def from_nodes(cls, topology: Topology, target: str) -> Routes:
        """The paths from each node to `target`: those of `Topology.path`, found in one search from the target."""
        return cls._joined(topology, dict(_tree_into(topology, target)))

    @classmethod
    def _joined(cls, topology: Topology, paths: dict[str, tuple[int, ...] | None]) -> Routes:
        end = len(topology.links)
        found = [paths.get(node.name) for node in topology.nodes]
        flat = [index for path in found for index in (*(path or ()), end)]
        lengths = np.array([len(path or ()) + 1 for path in found], np.intp)
        reached = np.array([path is not None for path in found], np.bool_)
        return cls(np.array(flat, np.intp), np.cumsum(lengths) - lengths, reached)

    def total(self, column: Floats) -> Floats:
        """The sum of a column of the links along each path."""
        return np.asarray(np.add.reduceat(np.append(column, 0.0)[self.links], self.starts), np.float64)

    def least(self, column: Floats) -> Floats:
        """The least value of a column of the links along each path; infinite where the path has no link."""
        return np.asarray(np.minimum.reduceat(np.append(column, np.inf)[self.links], self.starts), np.float64)


def _tree_into(topology: Topology, target: str) -> dict[str, tuple[int, ...]]:
    """Dijkstra's tree towards `target`, in the order of paths that `Topology.path` has: delay, links, names."""
    arriving: dict[str, list[int]] = {}
    for index, link in enumerate(topology.links):
        arriving.setdefault(link.target, []).append(index)
    tree: dict[str, tuple[int, ...]] = {}
    queue: list[tuple[int, int, tuple[str, ...], tuple[int, ...]]] = [(0, 0, (target,), ())]
    while queue:
        delay, hops, names, path = heapq.heappop(queue)
        if names[0] in tree:
            continue
        tree[names[0]] = path
        for index in arriving.get(names[0], ()):
            link = topology.links[index]
            if link.source not in tree:
                further = delay + round(link.delay * 1e9)
                heapq.heappush(queue, (further, hops + 1, (link.source, *names), (index, *path)))
    return tree
