"""What must hold between the parts of a cluster file: one function a rule, each the first fault it finds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tierflow.topology.link import LinkSpec, directed
from tierflow.topology.node import NodeSpec
from tierflow.topology.policy import PolicySpec

__all__ = ["Fault", "Parts", "first_fault", "guess"]

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Where in the file a rule is broken (keys and indices from the root), how, and the mend."""

    loc: Loc
    problem: str
    mend: str


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a cluster file that the rules are about."""

    tiers: tuple[str, ...]
    hosts: str
    sites: tuple[str, ...]
    nodes: tuple[NodeSpec, ...]
    links: tuple[LinkSpec, ...]
    policy: PolicySpec | None = None


def first_fault(parts: Parts) -> Fault | None:
    """The first broken rule, in the order in which a reader would mend them; None where all hold."""
    return next((fault for rule in _RULES for fault in rule(parts)), None)


def guess(word: str, known: Iterable[str]) -> str:
    """The mend for a word that should be one of `known`: the one that was probably meant, or the list of all."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"use one of: {', '.join(known)}"


def _names_differ(parts: Parts) -> Iterator[Fault]:
    for kind, key, names in (
        ("tiers", "tiers", parts.tiers),
        ("sites", "sites", parts.sites),
        ("nodes", "nodes", tuple(node.name for node in parts.nodes)),
    ):
        for index, name in _repeated(names):
            loc: Loc = (key, index, "name") if key == "nodes" else (key, index)
            yield Fault(loc, f"two {kind} are called '{name}'", "give each a name of its own")
    sites = {*parts.sites, *(node.site for node in parts.nodes)}
    for index, node in enumerate(parts.nodes):
        if node.name in sites:
            problem = f"'{node.name}' is the name of a node and of a site"
            yield Fault(("nodes", index, "name"), problem, "rename one: a link could mean either")


def _repeated(names: Sequence[str]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield index, name
        seen.add(name)


def _nodes_stand_somewhere(parts: Parts) -> Iterator[Fault]:
    for index, node in enumerate(parts.nodes):
        if node.tier not in parts.tiers:
            problem = f"node '{node.name}' is in tier '{node.tier}', which is not one of this file's tiers"
            yield Fault(("nodes", index, "tier"), problem, guess(node.tier, parts.tiers))
        if parts.sites and node.site not in parts.sites:
            problem = f"node '{node.name}' stands in site '{node.site}', which 'sites' does not list"
            mend = f"add it to 'sites', or {guess(node.site, parts.sites)}"
            yield Fault(("nodes", index, "site"), problem, mend)


def _one_head(parts: Parts) -> Iterator[Fault]:
    last = parts.tiers[-1]
    if all(node.tier != last for node in parts.nodes):
        problem = f"no node is in the last tier, '{last}', where the head of the cluster runs"
        yield Fault(("nodes",), problem, f"add a node with 'tier: {last}'")
    heads = [(index, node) for index, node in enumerate(parts.nodes) if node.head]
    for index, node in heads:
        if node.tier != last:
            problem = f"node '{node.name}' is marked as the head but is in tier '{node.tier}'"
            yield Fault(("nodes", index, "head"), problem, f"mark a node of the last tier, '{last}'")
    for index, node in heads[1:]:
        problem = f"nodes '{heads[0][1].name}' and '{node.name}' are both marked as the head"
        yield Fault(("nodes", index, "head"), problem, "mark one: a cluster has one head")


def _cloud_sites_are_apart(parts: Parts) -> Iterator[Fault]:
    last = parts.tiers[-1]
    clouds = {node.site: node.name for node in reversed(parts.nodes) if node.tier == last}
    for index, node in enumerate(parts.nodes):
        if node.tier != last and node.site in clouds:
            problem = (
                f"site '{node.site}' is in two tiers' roles: it holds '{clouds[node.site]}' of the last tier, '{last}',"
                f" and '{node.name}' of tier '{node.tier}'"
            )
            mend = f"put '{node.name}' in a site of its own: what may not leave a site must not share it with '{last}'"
            yield Fault(("nodes", index, "site"), problem, mend)


def _values_fit(parts: Parts) -> Iterator[Fault]:
    for index, node in enumerate(parts.nodes):
        if node.power and node.power.busy < node.power.idle:
            problem = f"node '{node.name}' draws less power when busy than when idle"
            yield Fault(("nodes", index, "power"), problem, "make 'busy' at least 'idle'")
    yield from _addresses_fit(parts)


def _addresses_fit(parts: Parts) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for index, node in enumerate(parts.nodes):
        if node.address is None:
            continue
        loc = ("nodes", index, "address")
        if parts.hosts != "machines":
            problem = f"node '{node.name}' has an address, but 'hosts: {parts.hosts}' makes its own"
            yield Fault(loc, problem, "remove 'address', or write 'hosts: machines' for real machines")
        elif node.address in seen:
            problem = f"nodes '{seen[node.address]}' and '{node.name}' have one address, {node.address}"
            yield Fault(loc, problem, "give each machine its own address")
        seen[node.address] = node.name


def _gateways_fit(parts: Parts) -> Iterator[Fault]:
    for index, node in enumerate(parts.nodes):
        gateway = node.gateway
        if gateway is None:
            continue
        loc = ("nodes", index, "gateway")
        if gateway.http == gateway.flight:
            problem = f"the gateway of node '{node.name}' has one port, {gateway.http}, for HTTP and Flight"
            yield Fault(loc, problem, "give each its own")
        if not gateway.outboxes and not gateway.versions:
            problem = f"the gateway of node '{node.name}' neither takes nor gives anything"
            yield Fault(loc, problem, "list 'outboxes' or 'versions'")
        for name in (name for names in (gateway.outboxes, gateway.versions) for _, name in _repeated(names)):
            yield Fault(loc, f"the gateway of node '{node.name}' lists '{name}' twice", "remove one")


def _head_is_reached(parts: Parts) -> Iterator[Fault]:
    if parts.hosts != "machines":
        return
    index, head = next(
        (index, node)
        for index, node in sorted(enumerate(parts.nodes), key=lambda item: not item[1].head)
        if node.tier == parts.tiers[-1]
    )
    if head.address is None:
        problem = f"the head, '{head.name}', has no address"
        yield Fault(("nodes", index), problem, "add 'address' to it: the other machines join it there")


def _links_lead_somewhere(parts: Parts) -> Iterator[Fault]:
    sites = dict.fromkeys((*parts.sites, *(node.site for node in parts.nodes)))
    known = [*(node.name for node in parts.nodes), *sites]
    taken: dict[tuple[str, str], int] = {}
    for index, link in enumerate(parts.links):
        for key, end in (("from", link.source), ("to", link.target)):
            if end not in known:
                problem = f"a link leads {key} '{end}', which is neither a node nor a site"
                yield Fault(("links", index, key), problem, guess(end, known))
        if link.source == link.target:
            yield Fault(("links", index, "to"), f"a link leads from '{link.source}' to itself", "name its other end")
        for way in _ways(link):
            if way in taken:
                problem = f"two links lead from '{way[0]}' to '{way[1]}'"
                yield Fault(("links", index), problem, _mend_of_two(link, parts.links[taken[way]]))
            taken[way] = index
        yield from _link_values_fit(index, link)


def _ways(link: LinkSpec) -> tuple[tuple[str, str], ...]:
    there = (link.source, link.target)
    return (there, there[::-1]) if link.both else (there,)


def _mend_of_two(link: LinkSpec, other: LinkSpec) -> str:
    if (link.source, link.target) == (other.source, other.target):
        return "remove one"
    return "a link holds for both directions: say 'reverse:' for other values on the way back, or 'both: false' on each"


def _link_values_fit(index: int, link: LinkSpec) -> Iterator[Fault]:
    back = link.reverse
    if back and not link.both:
        problem = f"the link from '{link.source}' to '{link.target}' says 'both: false' and has a 'reverse'"
        yield Fault(("links", index, "reverse"), problem, "remove one of the two")
    if link.jitter > link.delay:
        problem = f"the link from '{link.source}' to '{link.target}' has more jitter than delay"
        yield Fault(("links", index, "jitter"), problem, "make 'jitter' at most 'delay'")
    if back:
        jitter = link.jitter if back.jitter is None else back.jitter
        delay = link.delay if back.delay is None else back.delay
        if jitter > delay:
            problem = f"the link from '{link.target}' back to '{link.source}' has more jitter than delay"
            yield Fault(("links", index, "reverse"), problem, "make 'jitter' at most 'delay'")


def _policy_orders_tiers(parts: Parts) -> Iterator[Fault]:
    order = (parts.policy.order if parts.policy else None) or ()
    for index, tier in enumerate(order):
        if tier not in parts.tiers:
            problem = f"'order' of the policy names '{tier}', which is not one of this file's tiers"
            yield Fault(("policy", "order", index), problem, guess(tier, parts.tiers))
    for index, tier in _repeated(order):
        yield Fault(("policy", "order", index), f"'order' of the policy names '{tier}' twice", "remove one")


def _all_reach_all(parts: Parts) -> Iterator[Fault]:
    """On the rig every node must reach every other: each reaches the first, and the first reaches each."""
    if parts.hosts != "rig":
        return
    links = directed(parts.nodes, parts.links)
    first = parts.nodes[0]
    leaving = _reached(first.name, [(link.source, link.target) for link in links])
    arriving = _reached(first.name, [(link.target, link.source) for link in links])
    for index, node in enumerate(parts.nodes):
        for reached, source, target in ((leaving, first, node), (arriving, node, first)):
            if node.name in reached:
                continue
            mend = f"add a link from '{source.site}' to '{target.site}'"
            if node.site in reached:
                mend = f"let the link between '{node.name}' and '{node.site}' lead both ways"
            problem = f"no path of links leads from '{source.name}' to '{target.name}'"
            yield Fault(("nodes", index), problem, mend)


def _reached(start: str, edges: list[tuple[str, str]]) -> set[str]:
    beyond: dict[str, list[str]] = {}
    for a, b in edges:
        beyond.setdefault(a, []).append(b)
    reached, frontier = {start}, [start]
    while frontier:
        for name in beyond.get(frontier.pop(), ()):
            if name not in reached:
                reached.add(name)
                frontier.append(name)
    return reached


_RULES = (
    _names_differ,
    _nodes_stand_somewhere,
    _cloud_sites_are_apart,
    _one_head,
    _values_fit,
    _gateways_fit,
    _head_is_reached,
    _links_lead_somewhere,
    _all_reach_all,
    _policy_orders_tiers,
)
