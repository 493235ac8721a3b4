"""Which nodes reach one another, by who hears whom; and who beats to whom, so that little is sent to find out."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["SMALL", "Peer", "expected", "reachable", "speakers", "targets"]

SMALL = 3
"""Nodes of a site up to which each beats to each other; in a larger one, to the next by name."""
PROBED = 2
"""Nodes of a wholly cut site that are tried."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A node as the others know it: its name, its place, and the address that its datagrams come from."""

    name: str
    tier: str
    site: str
    address: str


def reachable(me: str, heard: Iterable[tuple[str, str]], peers: Mapping[str, Peer], hub: str) -> frozenset[str]:
    """The nodes that `me` reaches and that reach it, where `heard` is pairs (sender, who hears it) and `hub` a site.

    Inside a site what is heard over others counts: its nodes share one network. Between sites the way leads directly
    or through the hub, as the fabric's links do; that some third site still hears both is no way.
    """
    out: dict[str, list[str]] = {}
    back: dict[str, list[str]] = {}
    for sender, hearer in heard:
        if sender in peers and hearer in peers:
            out.setdefault(sender, []).append(hearer)
            back.setdefault(hearer, []).append(sender)
    return frozenset(_spread(me, out, peers, hub) & _spread(me, back, peers, hub))


def _spread(me: str, edges: Mapping[str, Sequence[str]], peers: Mapping[str, Peer], hub: str) -> set[str]:
    crossings = {me: 0}
    waiting = deque([me])
    while waiting:
        at = waiting.popleft()
        here = peers[at].site
        for other in edges.get(at, ()):
            crossed = crossings[at] + (peers[other].site != here)
            onward = crossings[at] == 1 and crossed == 2
            if crossed > 2 or (onward and (here != hub or peers[other].site == peers[me].site)):
                continue
            if crossed < crossings.get(other, 3):
                crossings[other] = crossed
                waiting.append(other)
    return set(crossings)


def speakers(peers: Iterable[Peer]) -> list[str]:
    """The nodes of a site in the order in which they speak for it: edge nodes first, then by name."""
    return [peer.name for peer in sorted(peers, key=lambda peer: (peer.tier != "edge", peer.name))]


def targets(me: str, peers: Mapping[str, Peer], cut: Collection[str], hub: str) -> frozenset[str]:
    """Whom `me` beats to, as it sees who is cut: what is cut is tried again, and so is what comes after it.

    In its site all, or the next by name up to the first that is not cut. The speaker of a site also beats to the
    hub's, and where that is cut to those of the other sites; the hub's speaker to each of them.
    """
    sites = _sites(peers)
    mine = sites[peers[me].site]
    found = set(_next(me, mine, cut, 1))
    if me == _first(mine, peers, cut):
        others = [site for site in sites if site != peers[me].site]
        if peers[me].site != hub and hub in sites and _first(sites[hub], peers, cut) is not None:
            others = [hub]
        for site in others:
            found.update(_tried(speakers(peers[name] for name in sites[site]), cut))
    return frozenset(found)


def expected(me: str, peers: Mapping[str, Peer], cut: Collection[str], hub: str) -> frozenset[str]:
    """Who of those that are not cut should be heard here, because they beat to `me`."""
    sites = _sites(peers)
    mine = sites[peers[me].site]
    found = {name for name in _next(me, mine, cut, -1) if name not in cut}
    if me == _first(mine, peers, cut):
        firsts = {site: _first(names, peers, cut) for site, names in sites.items() if site != peers[me].site}
        at_hub = peers[me].site == hub
        found.update(name for site, name in firsts.items() if name is not None and (at_hub or site == hub))
    return frozenset(found)


def _sites(peers: Mapping[str, Peer]) -> dict[str, list[str]]:
    sites: dict[str, list[str]] = {}
    for name in sorted(peers):
        sites.setdefault(peers[name].site, []).append(name)
    return sites


def _first(names: Iterable[str], peers: Mapping[str, Peer], cut: Collection[str]) -> str | None:
    return next((name for name in speakers(peers[name] for name in names) if name not in cut), None)


def _next(me: str, names: Sequence[str], cut: Collection[str], step: int) -> Iterable[str]:
    """The nodes after `me` in the ring of the sorted names (before it, with a step of -1) up to one that is not cut."""
    if len(names) <= SMALL:
        yield from (name for name in names if name != me)
        return
    at = names.index(me)
    for distance in range(1, len(names)):
        name = names[(at + step * distance) % len(names)]
        yield name
        if name not in cut:
            return


def _tried(order: Sequence[str], cut: Collection[str]) -> Iterable[str]:
    alive = next((at for at, name in enumerate(order) if name not in cut), None)
    return order[:PROBED] if alive is None else order[: alive + 1]
