"""The topology: nodes, sites and directed links, and the path that traffic takes between two of them."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from tierflow.topology.link import Link, directed
from tierflow.topology.node import NodeSpec
from tierflow.topology.spec import ClusterSpec

__all__ = ["Topology"]

_Tree = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Topology:
    """A graph whose vertices are nodes and sites (a site is its local switch) and whose edges are directed links.

    Made with `Topology.of(spec)`. Paths are found on first use and kept; a topology never changes.
    """

    tiers: tuple[str, ...]
    sites: tuple[str, ...]
    nodes: tuple[NodeSpec, ...]
    links: tuple[Link, ...]

    @classmethod
    def of(cls, spec: ClusterSpec) -> Topology:
        """The topology of a cluster file: its nodes, its sites (declared, then implied) and its links by direction."""
        sites = tuple(dict.fromkeys((*spec.sites, *(node.site for node in spec.nodes))))
        return cls(spec.tiers, sites, spec.nodes, directed(spec.nodes, spec.links))

    def node(self, name: str) -> NodeSpec:
        """The node called `name`. Raises `KeyError` where there is none."""
        return self._nodes[name]

    def link(self, name: str) -> Link:
        """The link called `name` ("plant-1->region-1"). Raises `KeyError` where there is none."""
        return self._links[name]

    def site(self, name: str) -> tuple[NodeSpec, ...]:
        """The nodes of a site, in the order of the file; none for a site that only joins others."""
        return tuple(node for node in self.nodes if node.site == name)

    def path(self, source: str, target: str) -> tuple[int, ...] | None:
        """The links from `source` to `target` (nodes or sites) as indices into `links`.

        The path with the least delay (compared to the nanosecond), then the fewest links, then the first by the names
        it passes: the same for any order of nodes and links in the file. Empty where both ends are one; None where no
        path leads there, which `load` refuses on the rig.
        """
        if source == target:
            return ()
        if source not in self._trees:
            self._trees[source] = self._tree(source)
        return self._trees[source].get(target)

    @cached_property
    def _nodes(self) -> Mapping[str, NodeSpec]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _links(self) -> Mapping[str, Link]:
        return {link.name: link for link in self.links}

    @cached_property
    def _leaving(self) -> Mapping[str, list[int]]:
        leaving: dict[str, list[int]] = {}
        for index, link in enumerate(self.links):
            leaving.setdefault(link.source, []).append(index)
        return leaving

    @cached_property
    def _trees(self) -> dict[str, _Tree]:
        return {}

    def _tree(self, source: str) -> _Tree:
        """Dijkstra's tree from `source`, over labels that order every two paths."""
        tree: _Tree = {}
        queue: list[tuple[int, int, tuple[str, ...], tuple[int, ...]]] = [(0, 0, (source,), ())]
        while queue:
            delay, hops, names, path = heapq.heappop(queue)
            if names[-1] in tree:
                continue
            tree[names[-1]] = path
            for index in self._leaving.get(names[-1], ()):
                link = self.links[index]
                if link.target not in tree:
                    further = delay + round(link.delay * 1e9)
                    heapq.heappush(queue, (further, hops + 1, (*names, link.target), (*path, index)))
        return tree
