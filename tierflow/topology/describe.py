"""What a cluster file means: every value, the way between every two groups of nodes, and what looks wrong.

Plain data, for JSON and for tests; `render` draws it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from tierflow.topology.graph import Topology
from tierflow.topology.link import Link
from tierflow.topology.node import NodeSpec
from tierflow.topology.policy import PolicySpec
from tierflow.topology.spec import ClusterSpec
from tierflow.units import show_rate

__all__ = ["Description", "Route", "describe"]

_EMULATED = 62.5e6
"""Bytes per second that the rig's userspace links are known to reach: 500 Mbit/s."""

_Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """The way from one group of nodes (one tier in one site) to another.

    `nodes` names the two nodes whose way has the most delay of all pairs, and the values are theirs: `delay` one way
    and `round_trip` in seconds, `rate` of the slowest link in bytes per second, `loss` of the whole way as a share,
    `price` in dollars per byte. `path` is the names of its links.
    """

    source: _Group
    target: _Group
    nodes: tuple[str, str]
    path: tuple[str, ...]
    delay: float
    round_trip: float | None
    rate: float
    bottleneck: str
    loss: float
    price: float


@dataclass(frozen=True, slots=True)
class Description:
    """What a cluster file means. Quantities are in SI units, as in the spec."""

    name: str
    hosts: str
    encrypted: bool
    head: str
    tiers: tuple[str, ...]
    sites: tuple[str, ...]
    nodes: tuple[NodeSpec, ...]
    links: tuple[Link, ...]
    routes: tuple[Route, ...]
    policy: PolicySpec | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as values that `json` can write."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["nodes"] = [node.model_dump(mode="json") for node in self.nodes]
        values["links"] = [asdict(link) for link in self.links]
        values["policy"] = self.policy.model_dump(mode="json", exclude_none=True) if self.policy else None
        values["routes"] = [asdict(route) for route in self.routes]
        return values


def describe(spec: ClusterSpec, cores: float | None = None) -> Description:
    """What `spec` means. `cores` is how many cores this machine has, where the quotas should be held against it."""
    topology = Topology.of(spec)
    return Description(
        name=spec.name,
        hosts=spec.hosts,
        encrypted=spec.encrypted,
        head=spec.head.name,
        tiers=spec.tiers,
        sites=topology.sites,
        nodes=spec.nodes,
        links=topology.links,
        routes=tuple(_routes(topology)),
        policy=spec.policy,
        warnings=tuple(_warnings(spec, topology, cores)),
    )


def _routes(topology: Topology) -> Iterator[Route]:
    """The slowest way between every two groups, from the data up to the cloud and back down."""
    groups: dict[_Group, list[str]] = {}
    for node in sorted(topology.nodes, key=lambda node: topology.tiers.index(node.tier)):
        groups.setdefault((node.tier, node.site), []).append(node.name)
    for source, target in product(groups, repeat=2):
        ways = [
            _route(topology, source, target, a, b, path)
            for a, b in product(groups[source], groups[target])
            if (path := topology.path(a, b))
        ]
        if ways:
            yield max(ways, key=lambda way: way.delay)


def _route(topology: Topology, source: _Group, target: _Group, a: str, b: str, path: tuple[int, ...]) -> Route:
    links = [topology.links[index] for index in path]
    back = topology.path(b, a)
    delay = sum(link.delay for link in links)
    slowest = min(links, key=lambda link: link.rate)
    arrives = 1.0
    for link in links:
        arrives *= 1 - link.loss
    return Route(
        source=source,
        target=target,
        nodes=(a, b),
        path=tuple(link.name for link in links),
        delay=delay,
        round_trip=None if back is None else delay + sum(topology.links[index].delay for index in back),
        rate=slowest.rate,
        bottleneck=slowest.name,
        loss=0.0 if all(link.loss == 0 for link in links) else 1 - arrives,
        price=sum(link.price for link in links),
    )


def _warnings(spec: ClusterSpec, topology: Topology, cores: float | None) -> Iterator[str]:
    """What the rules allow but its writer may not have meant."""
    for tier in spec.tiers:
        if all(node.tier != tier for node in spec.nodes):
            yield f"no node is in tier '{tier}'"
    ends = {end for link in spec.links for end in (link.source, link.target)}
    for site in spec.sites:
        if not topology.site(site) and site not in ends:
            yield f"site '{site}' holds no node and joins no link"
    first = spec.nodes[0].name
    for node in spec.nodes:
        if topology.path(first, node.name) is None or topology.path(node.name, first) is None:
            yield f"no path of links joins '{first}' and '{node.name}', so nothing is known of what lies between them"
        if node.battery is not None and node.power is None:
            yield f"node '{node.name}' has a battery but no 'power', so nothing is known of how long it lasts"
        yield from _gateway_warnings(spec, node)
    yield from _rig_warnings(spec, cores) if spec.hosts == "rig" else _quota_warnings(spec)


def _gateway_warnings(spec: ClusterSpec, node: NodeSpec) -> Iterator[str]:
    if node.gateway is None:
        return
    if not node.gateway.is_local and not spec.encrypted:
        yield f"the gateway of '{node.name}' is open to the network without TLS: tokens cross it as they are"
    if spec.hosts == "machines" and node is not spec.head:
        yield f"the gateway of '{node.name}' is not opened from here: run 'tierflow gateway open' on that machine"


def _quota_warnings(spec: ClusterSpec) -> Iterator[str]:
    names = [node.name for node in spec.nodes if node.cpu_quota is not None]
    if names:
        yield f"'cpu_quota' means nothing under 'hosts: {spec.hosts}' ({', '.join(names)})"


def _rig_warnings(spec: ClusterSpec, cores: float | None) -> Iterator[str]:
    free = [node.name for node in spec.nodes if node.cpu_quota is None]
    total = sum(node.cpu_quota or 0.0 for node in spec.nodes)
    if free:
        yield f"no 'cpu_quota' on {', '.join(free)}: what they do slows the other nodes of the rig down"
    if cores is not None and total > cores:
        yield f"the quotas add up to {total:g} cores, but this machine has {cores:g}: the nodes slow each other down"
    for link in Topology.of(spec).links:
        if link.shaped and link.rate > _EMULATED:
            rates = f"{show_rate(link.rate)}; {show_rate(_EMULATED)}"
            yield f"link {link.name} asks for {rates} is what the rig is sure to reach where the kernel has no netem"
