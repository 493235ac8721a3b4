"""The nodes and links as they are now: immutable arrays of declared and measured values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierflow.topology.column import Column, Source, Value
from tierflow.topology.graph import Topology
from tierflow.topology.node import NodeSpec
from tierflow.topology.routes import Routes

__all__ = ["WINDOW", "Conditions", "Fixed", "LinkChange", "NodeChange", "kind_of"]

DISPATCH = 2e-3
"""Seconds that a call to a node of speed 1 is taken to need for itself before one was watched."""
DISPATCH_DOUBT = 1.0
"""Its relative standard deviation: nobody has looked, and no cluster file says."""
WINDOW = 14480.0
"""Bytes that a node's streams may have under way before the first acknowledgement: ten segments (RFC 6928)."""
MOST_ROUTES = 512
"""Vertices of which the routes are kept, the latest; each takes about 50 bytes for each node."""


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What was learned of a node: relative speed, share of its cores that others keep busy, whether it answers.

    `dispatch` is seconds that a call to the node takes beside function, transfer, codec and queue, `window` bytes that
    a stream from it may have under way at the start of a transfer.
    """

    speed: Value | None = None
    busy: Value | None = None
    alive: bool | None = None
    dispatch: Value | None = None
    window: Value | None = None


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What was learned of a link: rate (bytes per second), delay (seconds), loss (0 to 1), whether it carries."""

    rate: Value | None = None
    delay: Value | None = None
    loss: Value | None = None
    up: bool | None = None


@dataclass(frozen=True, eq=False)
class Fixed:
    """What no measurement changes, shared by all versions: names, places, sizes, prices, power, routes.

    Arrays have one entry per node of `topology.nodes`: `by_name` (its rank among the sorted names), `tier`, `site` and
    `kind` (numbers of the names in `topology.tiers`, `topology.sites` and `kinds`), `cpus` (that Ray hands out),
    `cores` (that are really there: fewer under a quota), `price` (dollars per second) and `power` (watts that all cores
    at work draw above idle; NaN where the file declares none).
    """

    topology: Topology
    nodes: Mapping[str, int]
    links: Mapping[str, int]
    kinds: tuple[str, ...]
    by_name: NDArray[np.intp]
    tier: NDArray[np.intp]
    site: NDArray[np.intp]
    kind: NDArray[np.intp]
    cpus: NDArray[np.float64]
    cores: NDArray[np.float64]
    price: NDArray[np.float64]
    power: NDArray[np.float64]
    _routes: dict[tuple[str, bool], Routes] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, topology: Topology, kind: Callable[[NodeSpec], str]) -> Fixed:
        """The fixed values of a topology, whose nodes are of one kind where `kind` gives the same word."""
        nodes = topology.nodes
        words = [kind(node) for node in nodes]
        kinds = tuple(sorted(set(words)))
        names = [node.name for node in nodes]
        rank = {name: index for index, name in enumerate(sorted(names))}
        tiers = {name: index for index, name in enumerate(topology.tiers)}
        sites = {name: index for index, name in enumerate(topology.sites)}
        kinds_at = {word: index for index, word in enumerate(kinds)}
        drawn = [node.power.busy - node.power.idle if node.power else np.nan for node in nodes]
        return cls(
            topology,
            {name: index for index, name in enumerate(names)},
            {link.name: index for index, link in enumerate(topology.links)},
            kinds,
            np.array([rank[name] for name in names], np.intp),
            np.array([tiers[node.tier] for node in nodes], np.intp),
            np.array([sites[node.site] for node in nodes], np.intp),
            np.array([kinds_at[word] for word in words], np.intp),
            np.array([node.cpus for node in nodes], np.float64),
            np.array([min(node.cpus, node.cpu_quota or node.cpus) for node in nodes], np.float64),
            np.array([node.price for node in nodes], np.float64),
            np.array(drawn, np.float64),
        )

    def routes(self, vertex: str, *, inward: bool) -> Routes:
        """The paths from a vertex (a node or a site) to every node or, `inward`, from every node to it; found once.

        Raises:
            KeyError: the topology has no such vertex.
        """
        key = (vertex, inward)
        if key not in self._routes:
            if vertex not in self.nodes and vertex not in self.topology.sites:
                raise KeyError(vertex)
            if len(self._routes) >= MOST_ROUTES:
                self._routes.pop(next(iter(self._routes)), None)
            find = Routes.from_nodes if inward else Routes.to_nodes
            self._routes[key] = find(self.topology, vertex)
        return self._routes[key]


@dataclass(frozen=True, eq=False)
class Conditions:
    """One version of what is known of every node and link; the same object for the real fabric and the simulation.

    Made with `Conditions.of`; a new version is made with `changed` and shares every column that it does not change.
    `rate` is in bytes per second, `delay` (one way) in seconds, `loss` and `busy` are shares, `speed` is relative to
    a node of speed 1, `dispatch` (seconds) is what a call takes at a node besides its function: leasing a worker,
    unpickling, scheduling. `window` is the bytes that a stream from a node may have under way before it hears of their
    arrival, after a pause: TCP's first window, or all that a path holds where the node's TCP keeps its rate. Two
    conditions are equal only if they are one object.
    """

    fixed: Fixed
    version: int
    speed: Column
    busy: Column
    alive: NDArray[np.bool_]
    dispatch: Column
    window: Column
    rate: Column
    delay: Column
    loss: Column
    up: NDArray[np.bool_]

    @classmethod
    def of(cls, topology: Topology, kind: Callable[[NodeSpec], str] | None = None) -> Conditions:
        """Version 0: as the cluster file declares. `kind` names the hardware of a node; without it see `kind_of`."""
        nodes, links = topology.nodes, topology.links
        return cls(
            Fixed.of(topology, kind or kind_of),
            0,
            Column.declared("speed", [node.pace for node in nodes]),
            Column.declared("busy", [0.0 for _ in nodes]),
            np.ones(len(nodes), np.bool_),
            Column.declared("dispatch", [DISPATCH / node.pace for node in nodes], DISPATCH_DOUBT),
            Column.declared("window", [WINDOW for _ in nodes]),
            Column.declared("rate", [link.rate for link in links]),
            Column.declared("delay", [link.delay for link in links]),
            Column.declared("loss", [link.loss for link in links]),
            np.ones(len(links), np.bool_),
        )

    @property
    def topology(self) -> Topology:
        """The nodes and links that these are the conditions of."""
        return self.fixed.topology

    def changed(
        self, nodes: Mapping[str, NodeChange] | None = None, links: Mapping[str, LinkChange] | None = None
    ) -> Conditions:
        """The next version, with these changes by name. Where they change nothing, this one.

        Raises:
            KeyError: no node or link has that name.
            MeasureError: a value that no node or link can have.
        """
        version = self.version + 1
        at_nodes = {self.fixed.nodes[name]: change for name, change in (nodes or {}).items()}
        at_links = {self.fixed.links[name]: change for name, change in (links or {}).items()}
        new: dict[str, Any] = {
            "speed": self.speed.with_values(_given(at_nodes, "speed"), version),
            "busy": self.busy.with_values(_given(at_nodes, "busy"), version),
            "alive": _with_flags(self.alive, _given(at_nodes, "alive")),
            "dispatch": self.dispatch.with_values(_given(at_nodes, "dispatch"), version),
            "window": self.window.with_values(_given(at_nodes, "window"), version),
            "rate": self.rate.with_values(_given(at_links, "rate"), version),
            "delay": self.delay.with_values(_given(at_links, "delay"), version),
            "loss": self.loss.with_values(_given(at_links, "loss"), version),
            "up": _with_flags(self.up, _given(at_links, "up")),
        }
        if all(column is getattr(self, name) for name, column in new.items()):
            return self
        return replace(self, version=version, **new)

    def without(self, cut: Collection[str]) -> Conditions:
        """The next version, in which these nodes and their links are out of reach and all others are not."""
        nodes = {name: NodeChange(alive=name not in cut) for name in self.fixed.nodes}
        links = {
            link.name: LinkChange(up=link.source not in cut and link.target not in cut) for link in self.topology.links
        }
        return self.changed(nodes, links)

    def on(self, topology: Topology, kind: Callable[[NodeSpec], str] | None = None) -> Conditions:
        """The next version on another topology: nodes and links that it also has keep what was measured."""
        fresh = replace(Conditions.of(topology, kind), version=self.version)
        old, new = self.fixed, fresh.fixed
        nodes = {
            name: NodeChange(
                _known(self.speed, at),
                _known(self.busy, at),
                bool(self.alive[at]),
                _known(self.dispatch, at),
                _known(self.window, at),
            )
            for name, at in old.nodes.items()
            if name in new.nodes
        }
        links = {
            name: LinkChange(_known(self.rate, at), _known(self.delay, at), _known(self.loss, at), bool(self.up[at]))
            for name, at in old.links.items()
            if name in new.links
        }
        moved = fresh.changed(nodes, links)
        return moved if moved is not fresh else replace(fresh, version=self.version + 1)


def kind_of(node: NodeSpec) -> str:
    """The kind of a node by what the cluster file says of its hardware: "device 1 CPU x0.2"."""
    gpus = f" {node.gpus} GPU" if node.gpus else ""
    return f"{node.tier} {node.cpus} CPU{gpus} x{node.cpu_quota or node.speed:g}"


def _known(column: Column, index: int) -> Value | None:
    value = column.at(index)
    return value if value.source > Source.DECLARED else None


def _given(changes: Mapping[int, NodeChange] | Mapping[int, LinkChange], name: str) -> dict[int, Any]:
    values = {index: getattr(change, name) for index, change in changes.items()}
    return {index: value for index, value in values.items() if value is not None}


def _with_flags(flags: NDArray[np.bool_], changes: Mapping[int, bool]) -> NDArray[np.bool_]:
    if all(flags[index] == value for index, value in changes.items()):
        return flags
    copy = flags.copy()
    for index, value in changes.items():
        copy[index] = value
    copy.setflags(write=False)
    return copy
