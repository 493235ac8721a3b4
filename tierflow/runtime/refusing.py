"""The registry's doorkeeper: which members are what they were given, and the end of those that are not.

Whoever holds Ray's token (and, with TLS, a certificate of the fabric) can make Ray take a node under any labels. So
each look at the members holds them against what was granted. The raylet of a node that fails is told to end, which
takes it off the members for everybody: no call is placed there from then on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]

from tierflow.runtime.grants import Grants, Refused
from tierflow.topology import Member
from tierflow.trust import Claim, fault

__all__ = ["Doorkeeper"]

log = logging.getLogger("tierflow.registry")


class Doorkeeper:
    """Holds members against the grants in the state folder `state`."""

    def __init__(self, state: Path) -> None:
        self._grants = Grants(state)
        self._told: set[str] = set()

    def let_in(self, members: Sequence[Member]) -> list[Member]:
        """The members that are what they were given, and those that are dead; the others are told to end."""
        admitted, made = self._grants.admitted(), self._grants.made()
        kept, refused = [], []
        for member in members:
            claim = Claim(member.name, member.tier, member.site, member.address)
            why = fault(claim, admitted, made) if member.alive else None
            if why is None:
                kept.append(member)
            else:
                refused.append((member, why))
        new = [
            Refused(member.name, member.tier, member.site, member.address, why, time.time(), member.ray_id)
            for member, why in refused
            if member.ray_id not in self._told
        ]
        if new:
            self._grants.refuse(new)
            self._told.update(row.ray_id for row in new)
        for row in new:
            log.warning("%s at %s is refused: %s", row.name, row.address, row.why)
        if refused:
            _end([member.ray_id for member, _ in refused])
        return kept


def _end(nodes: Sequence[str]) -> None:
    """Let Ray end nodes, by the hex of their ids, whether they are idle or not."""
    try:
        client = GcsClient(address=ray.get_runtime_context().gcs_address)
        client.drain_nodes([bytes.fromhex(node) for node in nodes], timeout=5)
    except ray.exceptions.RayError as error:
        log.warning("nodes that are refused could not be ended, the next look tries again: %s", error)
