"""How long planning again takes after a link has changed: remembered, from scratch, and not at all. Needs no rig."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

from benchmarks.driven import demo
from benchmarks.measure import Interval, Pairs, in_turn, interval
from benchmarks.regret import worth
from benchmarks.uplink import CONDITIONS
from tierflow.cost.call import Call, Input, Variant
from tierflow.cost.profile import Profile, Profiles
from tierflow.planning.choose import choose
from tierflow.planning.decisions import Decisions
from tierflow.planning.policy import Policy
from tierflow.planning.rank import rank
from tierflow.topology import ClusterSpec, LinkSpec, NodeSpec, Topology
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

__all__ = ["Replanned", "fifty", "replan"]

LINKS = ("plant-1->region-1", "region-1->plant-1")
ROUND = 200
"""Changes of the link in one timed run."""


@dataclass(frozen=True, slots=True)
class Replanned:
    """Seconds to plan one call after one change: with what is remembered, from scratch, and the ratio of the two.

    `stale` is the regret (a share, by predicted cost) of keeping the placement that was made before the change, the
    mean over changes.
    """

    nodes: int
    remembered: Interval
    scratch: Interval
    ratio: Interval
    stale: Interval


def replan(spec: ClusterSpec, repeats: int) -> Replanned:
    """Change the uplink again and again and place a call after each change."""
    topology = Topology.of(spec)
    caller = next(node.name for node in spec.nodes if node.tier == spec.tiers[0])
    measured = {node.name: NodeChange(speed=Value(node.cpu_quota or node.speed)) for node in spec.nodes}
    profiles = learned(Conditions.of(topology).changed(nodes=measured))
    call = Call((Variant("detect"),), caller, (Input(caller, 614_400.0),))
    versions = cycle([(uplink.rate, uplink.delay) for uplink in CONDITIONS])
    decisions, policy, now = Decisions(), Policy(), Conditions.of(topology).changed(nodes=measured)

    def remembered() -> None:
        nonlocal now
        for _ in range(ROUND):
            now = _at(now, *next(versions))
            decisions.decide(call, policy, now, profiles, {})

    def scratch() -> None:
        for _ in range(ROUND):
            fresh = _at(Conditions.of(topology).changed(nodes=measured), *next(versions))
            choose(rank(call, policy, fresh, profiles), {})

    pairs: Pairs = in_turn(remembered, scratch, repeats)
    return Replanned(
        len(topology.nodes),
        interval([seconds / ROUND for seconds in pairs.ours]),
        interval([seconds / ROUND for seconds in pairs.theirs]),
        interval([theirs / ours for ours, theirs in zip(pairs.ours, pairs.theirs, strict=True)]),
        worth(list(_stale(call, profiles, now, policy))),
    )


def _stale(call: Call, profiles: Profiles, conditions: Conditions, policy: Policy) -> Iterator[float]:
    """The regret of not planning again after changes of the uplink, from 1 to 200 Mbit/s and from 2 to 60 ms.

    Rates and delays before and after are drawn by their logarithms, and calls of a tenth to all of the bytes.
    """
    rng = np.random.default_rng(0)
    for _ in range(300):
        rates = np.exp(rng.uniform(np.log(0.125e6), np.log(25e6), 2))
        delays = np.exp(rng.uniform(np.log(0.002), np.log(0.060), 2))
        drawn = replace(call, inputs=(Input(call.caller, call.size * float(rng.uniform(0.1, 1.0))),))
        old, new = (
            rank(drawn, policy, _at(conditions, float(rate), float(delay)), profiles)
            for rate, delay in zip(rates, delays, strict=True)
        )
        kept = choose(old, {}).node
        cost = next(option.cost for option in new.best_first() if option.node == kept)
        yield cost / choose(new, {}).cost - 1.0


def _at(conditions: Conditions, rate: float, delay: float) -> Conditions:
    """The conditions with the uplink measured anew, in both directions."""
    change = LinkChange(rate=Value(rate, rate / 50, Source.MEASURED), delay=Value(delay, delay / 50, Source.MEASURED))
    return conditions.changed(links=dict.fromkeys(LINKS, change))


def learned(conditions: Conditions) -> Profiles:
    """What is known of the function after a few calls on every kind of node: .15 s for all bytes on one of speed 1."""
    profile = Profile()
    for at, kind in enumerate(conditions.fixed.kind):
        speed = float(conditions.speed.value[at])
        for size in (204_800.0, 614_400.0):
            for noise in (0.98, 1.0, 1.02):
                seconds = 0.15 * size / 614_400.0 / speed * noise
                profile = profile.observed(conditions.fixed.kinds[kind], speed, size, seconds, 200.0)
    return Profiles({"detect": profile})


def fifty() -> ClusterSpec:
    """The demo grown to fifty nodes: nine plants of four cameras and a small server each, and five cloud nodes."""
    small = demo("fifty")
    camera, gateway, cloud = (_first(small, tier) for tier in ("device", "edge", "cloud"))
    wifi = next(link for link in small.links if link.source == camera.name)
    uplink = next(link for link in small.links if link.target == cloud.site)
    nodes: list[NodeSpec] = [cloud.model_copy(update={"name": f"cloud-{at}"}) for at in range(1, 6)]
    links: list[LinkSpec] = []
    for plant in range(1, 10):
        site = f"plant-{plant}"
        nodes.append(gateway.model_copy(update={"name": f"gw-{plant}", "site": site}))
        links.append(uplink.model_copy(update={"source": site}))
        for at in range(1, 5):
            name = f"cam-{plant}-{at}"
            nodes.append(camera.model_copy(update={"name": name, "site": site}))
            links.append(wifi.model_copy(update={"source": name, "target": site}))
    return ClusterSpec(name="fifty", tiers=small.tiers, hosts="rig", nodes=tuple(nodes), links=tuple(links))


def _first(spec: ClusterSpec, tier: str) -> NodeSpec:
    return next(node for node in spec.nodes if node.tier == tier)
