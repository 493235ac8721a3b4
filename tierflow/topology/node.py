"""A node as the cluster file declares it, and the label keys that the fabric puts on it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tierflow.topology.quantities import Bytes, Joules, Name, PricePerSecond, Watts

__all__ = ["NODE", "SITE", "TIER", "GatewaySpec", "NodeSpec", "PowerSpec"]

TIER = "tierflow.io/tier"
"""The label whose value is the node's tier."""
SITE = "tierflow.io/site"
"""The label whose value is the node's site."""
NODE = "tierflow.io/node"
"""The label whose value is the node's name."""


class PowerSpec(BaseModel):
    """What a node draws from its supply, in watts: when it does nothing and when all its cores work."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    idle: Watts
    busy: Watts


class GatewaySpec(BaseModel):
    """A door on a node for devices that cannot run Ray.

    `outboxes` are those that clients may put into, up to `limit` bytes that wait in each; `versions` is what they may
    receive. `listen` is an address of the node; "node" is the one that other nodes reach it at. `http` and `flight` are
    ports.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    outboxes: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    versions: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    listen: Annotated[str, Field(pattern=r"^(node|[0-9a-fA-F.:]{2,45})$")] = "127.0.0.1"
    limit: Bytes = 64_000_000
    http: Annotated[int, Field(ge=1, le=65535)] = 8470
    flight: Annotated[int, Field(ge=1, le=65535)] = 8471

    @property
    def is_local(self) -> bool:
        """Whether only programs of the node itself reach it."""
        return self.listen == "::1" or self.listen.startswith("127.")


class NodeSpec(BaseModel):
    """One node: where it stands, what it offers to Ray, how fast it is and what it costs.

    `cpus` and `gpus` are what Ray may schedule, in whole units as `ray start` takes them; `cpu_quota` is how many of
    this machine's cores the node may use on the rig; `speed` is its speed relative to a node of speed 1; `memory` is
    in bytes, `price` in dollars per second, `battery` in joules. `address` is where a real machine is reached. `head`
    marks the node of the last tier that keeps the cluster's state; without a mark it is the first of that tier.
    `gateway` lets devices in that cannot run Ray.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Name
    tier: Name
    site: Name
    cpus: Annotated[int, Field(ge=0, le=100_000)] = 1
    gpus: Annotated[int, Field(ge=0, le=100_000)] = 0
    memory: Bytes | None = None
    speed: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 1.0
    cpu_quota: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = None
    power: PowerSpec | None = None
    price: PricePerSecond = 0.0
    battery: Joules | None = None
    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?$")] | None = None
    head: bool = False
    gateway: GatewaySpec | None = None

    @property
    def pace(self) -> float:
        """The speed of one thread on it: that of the node, or less under a quota of less than a core."""
        return self.speed * min(self.cpu_quota or 1.0, 1.0)
