"""Links: as the cluster file declares them, and directed as the fabric uses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tierflow.topology.node import NodeSpec
from tierflow.topology.quantities import Delay, Name, PricePerByte, Rate, Share

__all__ = ["LAN_DELAY", "LAN_RATE", "Link", "LinkSpec", "Radio", "ReverseSpec", "directed"]

Radio = Literal[
    "wired", "ethernet", "fiber", "wifi", "bluetooth", "zigbee", "lora", "lte", "5g", "satellite"
]  # closed, so that a table with a row for each can be complete
"""What carries a link."""

LAN_RATE = 125e6
"""Bytes per second between a node and its site where the file declares no link: 1 Gbit/s."""
LAN_DELAY = 1e-4
"""Seconds between a node and its site where the file declares no link: 0.1 ms."""


class ReverseSpec(BaseModel):
    """The values of a link's way back that differ from its way there; units as in `LinkSpec`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    rate: Rate | None = None
    delay: Delay | None = None
    jitter: Delay | None = None
    loss: Share | None = None
    price: PricePerByte | None = None
    radio: Radio | None = None


class LinkSpec(BaseModel):
    """One link between two nodes, two sites, or a node and a site; in both directions unless `both` is false.

    `rate` is in bytes per second, `delay` (one way) and `jitter` in seconds, `loss` a share from 0 to below 1, `price`
    in dollars per byte. `reverse` holds what differs on the way back. In the file the ends are `from` and `to`.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)

    source: Name = Field(validation_alias="from", serialization_alias="from")
    target: Name = Field(validation_alias="to", serialization_alias="to")
    rate: Rate
    delay: Delay
    jitter: Delay = 0.0
    loss: Share = 0.0
    price: PricePerByte = 0.0
    radio: Radio = "wired"
    both: bool = True
    reverse: ReverseSpec | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a link. Units as in `LinkSpec`; `name` is "source->target".

    `shaped` is false for the plain local link that joins a node to its site where the file declares none: nothing
    slows it down on the rig.
    """

    name: str
    source: str
    target: str
    rate: float
    delay: float
    jitter: float = 0.0
    loss: float = 0.0
    price: float = 0.0
    radio: Radio = "wired"
    shaped: bool = True


def directed(nodes: Sequence[NodeSpec], links: Sequence[LinkSpec]) -> tuple[Link, ...]:
    """Each direction of each declared link, in the order of the file, then the local links that are not declared."""
    declared = [link for spec in links for link in _directions(spec)]
    joined = {frozenset((link.source, link.target)) for link in declared}
    local = [
        Link(f"{a}->{b}", a, b, LAN_RATE, LAN_DELAY, radio="ethernet", shaped=False)
        for node in nodes
        if frozenset((node.name, node.site)) not in joined
        for a, b in ((node.name, node.site), (node.site, node.name))
    ]
    return (*declared, *local)


def _directions(spec: LinkSpec) -> Iterator[Link]:
    values = spec.model_dump(include={"rate", "delay", "jitter", "loss", "price", "radio"})
    yield Link(f"{spec.source}->{spec.target}", spec.source, spec.target, **values)
    if spec.both:
        back = spec.reverse.model_dump(exclude_none=True) if spec.reverse else {}
        yield Link(f"{spec.target}->{spec.source}", spec.target, spec.source, **(values | back))
