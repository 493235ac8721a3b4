"""One process that places calls, in a world whose truth is known and whose time is made here."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest
import yaml

from tierflow.cost import RAW, Codec, Input, Profile, Profiles, Queue, Variant
from tierflow.cost.moves import moves
from tierflow.cost.transfer import GOODPUT
from tierflow.planning import Policy, Request
from tierflow.runtime.flight import Flight, Seen
from tierflow.runtime.news import Update
from tierflow.runtime.placing import Placing
from tierflow.topology import ClusterSpec, Topology
from tierflow.topology.column import Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

__all__ = ["CLOUD", "LOOK", "NOBODY", "PLANT", "REQUEST", "UP", "World", "settled", "world"]

PLANT = """
name: plant
hosts: local
nodes:
  - {name: cloud-1, tier: cloud, site: region-1, cpus: 4, speed: 4}
  - {name: gw-1, tier: edge, site: plant-1}
  - {name: gw-2, tier: edge, site: plant-1}
  - {name: gw-3, tier: edge, site: plant-1}
  - {name: cam-1, tier: device, site: plant-1, speed: 0.1}
links:
  - {from: cam-1, to: plant-1, rate: 50 Mbit/s, delay: 3 ms}
  - {from: plant-1, to: region-1, rate: 20 Mbit/s, delay: 25 ms}
"""
UP = "plant-1->region-1"
REQUEST = Request("look", resources={"CPU": 1.0})
LOOK = (Variant("look"),)
CLOUD = Policy(order=("cloud",))
NOBODY: dict[str, str] = {}


@dataclass
class World:
    """One process on cam-1, and how things really are."""

    true: Conditions
    placing: Placing
    work: float = 0.4
    now: float = 100.0
    numbers: count[int] = field(default_factory=lambda: count(1))

    def start(self, size: float = 1000.0, policy: Policy | None = None, weight: int = 1, tells: bool = True) -> Flight:
        """Choose for a call and submit it."""
        call, choice = self.placing.choose(LOOK, REQUEST, policy or Policy(), (Input("cam-1", size),), NOBODY)
        key = (next(self.numbers) << 32 | 1).to_bytes(28, "big")
        return self.placing.begin(key, "any/look", call, choice, weight, self.now, tells=tells)

    def finish(
        self,
        flight: Flight,
        node: str = "",
        result: int = 100,
        first: bool = False,
        wait: float = 0.0,
        packs: tuple[Codec, ...] = (),
    ) -> str:
        """Let a call end after the time that it truly takes; where it ran."""
        node = node or flight.choice.node
        at = self.true.fixed.nodes[node]
        compute = self.work / self.true.speed.value[at]
        travel = [move for move in moves(flight.call, RAW, float(result), self.true) if not move.later]
        seconds = sum(float(move.lag.value[at] + move.sending.value[at]) for move in travel)
        self.now = flight.began + seconds + float(self.true.dispatch.value[at]) + compute + wait
        self.placing.end(flight, Seen(node, compute, result, flight.call.size, first, packs))
        return node

    def call(self, size: float = 1000.0) -> str:
        """One call and its end."""
        return self.finish(self.start(size))

    def load(self) -> dict[str, Queue]:
        """The queues that the next choice looks at."""
        _, choice = self.placing.choose(LOOK, REQUEST, Policy(), (), NOBODY)
        return {node: queue for node, queue in choice.load.items() if queue.calls}

    def rate(self) -> float:
        """What is known of the link to the cloud."""
        return self.placing.conditions.rate.at(self.placing.conditions.fixed.links[UP]).value


@pytest.fixture
def world() -> World:
    """A fabric whose links and nodes were watched for a while; nothing is known of functions."""
    now = Conditions.of(Topology.of(ClusterSpec.model_validate(yaml.safe_load(PLANT))))
    links = {
        link.name: LinkChange(Value(link.rate * GOODPUT, link.rate / 50), Value(link.delay, link.delay / 50))
        for link in now.topology.links
    }
    known = now.changed({name: NodeChange(dispatch=Value(0.01, 0.001)) for name in now.fixed.nodes}, links)
    made = World(known, Placing("cam-1", known, lambda: made.now, lambda: 1e9))
    return made


@pytest.fixture
def settled(world: World) -> World:
    """The same, and the function has run everywhere."""
    fixed = world.true.fixed
    profile = Profile()
    for at, node in enumerate(fixed.topology.nodes):
        for size in (1000.0, 30_000.0, 400_000.0):
            for _ in range(5):
                profile = profile.observed(fixed.kinds[fixed.kind[at]], node.speed, size, 0.4 / node.speed, 100.0)
    world.placing.learn(Update((1, 1), profiles=Profiles({"look": profile})))
    return world
