"""Hypothesis strategies for clusters: small, valid, and of every shape that the cluster file allows."""

from __future__ import annotations

from typing import Literal

from hypothesis import strategies as st

from tierflow.topology import METRICS, ClusterSpec, GatewaySpec, LinkSpec, NodeSpec, PolicySpec, PowerSpec, ReverseSpec

__all__ = ["cluster_specs", "link_specs", "node_specs", "policy_specs"]

_RADIOS: st.SearchStrategy[Literal["wired", "wifi", "lte", "lora"]] = st.sampled_from(("wired", "wifi", "lte", "lora"))
_prices = st.sampled_from((0.0, 9e-11)) | st.floats(0.0, 1e-8)
_rates = st.sampled_from((2.5e6, 6.25e6)) | st.floats(1e3, 1e9)
_losses = st.just(0.0) | st.floats(0.0, 0.5)
_delays = st.sampled_from((0.0, 0.001, 0.025)) | st.floats(0.0, 1.0)
_powers = st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 400.0)).map(
    lambda drawn: PowerSpec(idle=drawn[0], busy=drawn[0] + drawn[1])
)
_gateways = st.builds(
    GatewaySpec,
    outboxes=st.sampled_from((("a",), ("a", "b-2"))),
    versions=st.sampled_from(((), ("model",))),
    listen=st.sampled_from(("127.0.0.1", "node", "::1")),
    http=st.integers(1, 8470),
    limit=st.sampled_from((64_000_000, 2**30)),
)


def node_specs(name: str, tier: str, site: str) -> st.SearchStrategy[NodeSpec]:
    """Nodes of this name, tier and site, with any capacity, speed, quota, power, price and battery."""
    return st.builds(
        NodeSpec,
        name=st.just(name),
        tier=st.just(tier),
        site=st.just(site),
        cpus=st.integers(0, 64),
        gpus=st.integers(0, 2),
        memory=st.none() | st.integers(1, 2**40),
        speed=st.floats(0.01, 100.0),
        cpu_quota=st.none() | st.floats(0.01, 4.0),
        power=st.none() | _powers,
        price=_prices,
        battery=st.none() | st.floats(0.0, 1e7),
        gateway=st.none() | _gateways,
    )


@st.composite
def link_specs(draw: st.DrawFn, source: str, target: str, both: bool = True) -> LinkSpec:
    """Links between these two ends, with or without other values on the way back."""
    delay = draw(_delays)
    back = st.builds(ReverseSpec, rate=st.none() | _rates, loss=st.none() | _losses, price=st.none() | _prices)
    return LinkSpec(
        source=source,
        target=target,
        rate=draw(_rates),
        delay=delay,
        jitter=draw(st.just(0.0) | st.floats(0.0, delay)),
        loss=draw(_losses),
        price=draw(_prices),
        radio=draw(_RADIOS),
        both=both,
        reverse=draw(st.none() | back) if both else None,
    )


def policy_specs(tiers: tuple[str, ...] = ("device", "edge", "cloud")) -> st.SearchStrategy[PolicySpec]:
    """Policies that say anything or nothing; `PolicySpec.given` are the options of the same for a task."""
    weights = st.dictionaries(st.sampled_from(METRICS), st.floats(0.01, 100.0), min_size=1)
    orders = st.lists(st.sampled_from(tiers), min_size=1, unique=True).map(tuple)
    return st.builds(
        PolicySpec,
        minimise=st.none() | st.sampled_from(METRICS) | weights,
        deadline=st.none() | st.floats(1e-3, 100.0),
        max_bytes=st.none() | st.integers(0, 10**8),
        budget=st.none() | st.floats(0.0, 1.0),
        energy=st.none() | st.floats(0.0, 1e3),
        stay=st.sampled_from((None, "site", "device")),
        order=st.none() | orders,
        accuracy=st.none() | st.floats(0.0, 1.0),
        margin=st.none() | st.floats(0.0, 3.0),
        lossy=st.none() | st.floats(0.0, 1.0),
    )


@st.composite
def cluster_specs(draw: st.DrawFn, most_sites: int = 3, most_devices: int = 3) -> ClusterSpec:
    """Rigs of one cloud site and up to `most_sites` edge sites with up to `most_devices` devices each.

    A tree of links joins all sites; further links between sites and from nodes to their own or other sites are drawn.
    """
    sites = [f"plant-{number}" for number in range(1, draw(st.integers(0, most_sites)) + 1)]
    places = [(f"cloud-{number}", "cloud", "region-1") for number in range(1, draw(st.integers(1, 2)) + 1)]
    for number, site in enumerate(sites, 1):
        devices = range(1, draw(st.integers(1, most_devices)) + 1)
        places += [(f"gw-{number}", "edge", site), *((f"cam-{number}-{device}", "device", site) for device in devices)]
    nodes = [draw(node_specs(*place)) for place in places]

    joined = ["region-1", *sites]
    ends = [(site, draw(st.sampled_from(joined[:number]))) for number, site in enumerate(sites, 1)]
    further = [(a, b) for index, a in enumerate(joined) for b in joined[:index] if (a, b) not in ends]
    further += [(node.name, site) for node in nodes for site in joined]
    ends += draw(st.lists(st.sampled_from(further), unique=True, max_size=6))
    return ClusterSpec(
        name="drawn",
        hosts="rig",
        sites=tuple(draw(st.sampled_from(((), tuple(joined), (*joined, "backbone"))))),
        nodes=tuple(draw(st.permutations(nodes))),
        links=tuple(draw(link_specs(*pair)) for pair in ends),
        policy=draw(st.none() | policy_specs()),
        tls=draw(st.none() | st.booleans()),
    )
