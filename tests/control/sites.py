"""Nodes of several sites that beat over links which cut, delay and lose, under a virtual clock."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from itertools import count

from tierflow.control import Heard, Liveness, Message, Peer, Publish, Send, Tick, View, begun, step

HUB = "hub"


class Sites:
    """A star of sites around the hub. A cut is `(vertex, outward)`: the node or site sends, or gets, nothing."""

    def __init__(self, sizes: Iterable[int], seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.cuts: set[tuple[str, bool]] = set()
        self.lost: Callable[[str, str], bool] = lambda source, target: False
        self.sent = {}
        self.views: dict[str, list[tuple[float, View]]] = {}
        self.nodes: dict[str, Liveness] = {}
        self._events: list[tuple[float, int, str, Heard | Tick]] = []
        self._number = count()
        self.peers: dict[str, Peer] = {}
        for site, size in enumerate(sizes):
            for node in range(size):
                tier = "cloud" if site == 0 else "edge" if node == size - 1 else "device"
                name = f"{'abcdefghijkl'[self.random.randrange(12)]}{site}{node}"
                self.peers[name] = Peer(name, tier, HUB if site == 0 else f"site-{site}", f"10.{site}.0.{node}")
        self.head = next(iter(self.peers.values())).address
        self._by_address = {peer.address: peer.name for peer in self.peers.values()}
        for name in self.peers:
            self.start(name, self.random.uniform(0, 1))

    def start(self, name: str, after: float = 0.0, life: int = 1) -> None:
        self.nodes[name] = begun(self.peers[name], life, self.head, self.now + after)
        self.views[name] = []
        self._at(self.now + after, name, Tick())

    def carries(self, source: str, target: str) -> bool:
        a, b = self.peers[source], self.peers[target]
        way = [(a.name, True), (b.name, False)]
        if a.site != b.site:
            way += [(a.site, True), (b.site, False)]
        return not self.cuts.intersection(way)

    def cut_from(self, name: str) -> set[str]:
        """The truth."""
        return {
            other
            for other in self.peers
            if other != name and not (self.carries(name, other) and self.carries(other, name))
        }

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, name, event = heapq.heappop(self._events)
            if isinstance(event, Tick) and self.now < self.nodes[name].wakes:
                continue  # it was put off
            self.nodes[name], actions = step(self.nodes[name], event, self.now)
            for action in actions:
                if isinstance(action, Publish):
                    self.views[name].append((self.now, action.view))
                elif isinstance(action, Send):
                    self._send(name, action)
            self._at(max(self.nodes[name].wakes, self.now), name, Tick())
        self.now = until

    def _send(self, name: str, action: Send) -> None:
        target = self._by_address[action.address]
        self.sent[name] = self.sent.get(name, 0) + 1
        if self.carries(name, target) and not self.lost(name, target):
            near = self.peers[name].site == self.peers[target].site
            late = self.random.uniform(0.001, 0.03) + (0 if near else 0.04)
            self._at(self.now + late, target, Heard(self.peers[name].address, action.message))

    def _at(self, when: float, name: str, event: Heard | Tick) -> None:
        heapq.heappush(self._events, (when, next(self._number), name, event))

    def wrong(self) -> dict[str, tuple[set[str], set[str]]]:
        """Whose view is not the truth: seen as cut, and cut."""
        found = {}
        for name in self.nodes:
            truth, seen = self.cut_from(name), set(self.nodes[name].view.cut)
            if truth != seen:
                found[name] = seen, truth
        return found

    def cut_views(self, since: float) -> list[tuple[str, float, set[str]]]:
        return [
            (name, at, set(view.cut)) for name, row in self.views.items() for at, view in row if at > since and view.cut
        ]


def beat(message: Message) -> bool:
    return not message.reports
