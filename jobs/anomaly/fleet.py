"""Who runs where: one device actor for each sensor, one edge actor for each site that has a sensor, one cloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tierflow
from jobs.anomaly.catalog import CATALOG
from jobs.anomaly.cloud import Cloud
from jobs.anomaly.device import Device, Source
from jobs.anomaly.edge import Edge
from jobs.anomaly.outcome import Actor
from jobs.anomaly.series import SeriesError

__all__ = ["Fleet", "Post", "posts", "sources"]

# mypy keeps a decorated class a class and does not see the handle that the decorator made of it.
CLOUD: Any = Cloud
EDGE: Any = Edge
DEVICE: Any = Device

SHIPPED_AT_LEAST = 4  # the shipped series that a fabric of fewer devices replays; devices then hold more than one


@dataclass(frozen=True)
class Post:
    """A sensor at its device: the name of the node and of its site."""

    source: Source
    node: str
    site: str


def sources(devices: int) -> list[Source]:
    """A different shipped series for each device, starting again (with a number) where there are more devices."""
    wanted = max(devices, SHIPPED_AT_LEAST)
    names = list(CATALOG)
    rounds = [(names[at % len(names)], at // len(names) + 1) for at in range(wanted)]
    return [Source(name if turn == 1 else f"{name}-{turn}", name) for name, turn in rounds]


def posts(members: Sequence[Any], given: Sequence[Source]) -> list[Post]:
    """Deal the sources (all shipped ones where none is given) over the living devices, by name.

    Raises:
        SeriesError: when no device is alive.
    """
    devices = sorted((m for m in members if m.tier == "device" and m.alive), key=lambda member: str(member.name))
    if not devices:
        tiers = ", ".join(sorted({str(member.tier) for member in members})) or "no nodes"
        raise SeriesError(
            f"this job needs a node of the tier device, and the fabric has {tiers}: add a device to the cluster file"
        )
    chosen = list(given) or sources(len(devices))
    return [
        Post(source, devices[at % len(devices)].name, devices[at % len(devices)].site)
        for at, source in enumerate(chosen)
    ]


@dataclass(frozen=True)
class Fleet:
    """The actors of a run, by series name, by site, and the one of the cloud."""

    cloud: Any
    edges: dict[str, Any]
    devices: dict[str, Any]
    posts: tuple[Post, ...]

    @classmethod
    def start(cls, where: Sequence[Post], seed: int) -> Fleet:
        """Create them, held to where readings are: a device to its node, an edge to its site, the cloud to nothing."""
        cloud = CLOUD.remote(seed)
        edges = {
            site: EDGE.options(site=site).remote(site, cloud, seed) for site in sorted({post.site for post in where})
        }
        devices = {
            post.source.name: DEVICE.options(node=post.node).remote(post.source, edges[post.site]) for post in where
        }
        return cls(cloud, edges, devices, tuple(where))

    def edge_of(self, name: str) -> Any:
        """The edge actor of the site where this series is."""
        return self.edges[next(post.site for post in self.posts if post.source.name == name)]

    def actors(self) -> tuple[Actor, ...]:
        """Where each runs and why, as the fabric says."""
        handles = [("cloud", self.cloud)]
        handles += [(f"edge of {site}", edge) for site, edge in self.edges.items()]
        handles += [(f"device: {name}", device) for name, device in self.devices.items()]
        placed = [(role, tierflow.placement(handle)) for role, handle in handles]
        return tuple(Actor(role, p.node, p.tier, p.site, str(p.why)) for role, p in placed)
