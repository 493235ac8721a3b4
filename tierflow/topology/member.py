"""A node as the fabric sees it now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Member"]


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the running fabric: who it is, whether it answers, what it has and what of that is free.

    `resources` (all) and `available` (free) are named and counted as Ray does: CPU and GPU in units, memory in bytes.
    `port` is where its raylet listens at `address`, 0 where that is not known.
    """

    name: str
    tier: str
    site: str
    alive: bool
    resources: Mapping[str, float]
    available: Mapping[str, float]
    labels: Mapping[str, str]
    ray_id: str
    address: str
    port: int = 0
