"""What `tierflow status` tells of each node: declared in the cluster file, held against what the head sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tierflow.runtime.grants import Grants
from tierflow.runtime.measured import Measurements
from tierflow.runtime.record import FabricRecord, node_folder
from tierflow.runtime.view import ViewFile, view_file
from tierflow.topology import Member

__all__ = ["NodeStatus", "node_statuses"]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node. ``state`` is "up", "cut" (off from the head), "dead" (it was a member) or "missing" (it never came).

    ``measured`` is its speed, the share of its cores that others keep busy and its dispatch time, as far as they were
    measured, and ``hardware`` what its agent said of it (see `runtime.measured`). ``cpu_quota`` is how many of this
    machine's cores it may use, on the rig only.
    """

    name: str
    tier: str
    site: str
    address: str
    state: str
    cpus: float
    cpu_quota: float | None
    resources: dict[str, float]
    measured: Mapping[str, Any]
    hardware: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return asdict(self)


def node_statuses(record: FabricRecord) -> tuple[NodeStatus, ...]:
    """Every node that was declared or that joined besides: by tier as the file orders them, then by name.

    What was refused is not among them: see `Grants.refused`.

    Raises:
        FabricError: the head does not answer.
    """
    spec = record.spec()
    latest: dict[str, Member] = {}
    refused = {row.ray_id for row in Grants(Path(record.state)).refused()}
    for member in record.head_interface().members():
        if member.ray_id in refused:
            continue
        if member.alive or member.name not in latest:
            latest[member.name] = member
    declared = {node.name: node for node in spec.nodes}
    known = Measurements.read(Path(record.state))
    cut = ViewFile(view_file(node_folder(Path(record.state), spec.head.name))).latest().cut
    found = []
    for name in declared.keys() | latest.keys():
        node, there = declared.get(name), latest.get(name)
        found.append(
            NodeStatus(
                name=name,
                tier=there.tier if there else node.tier if node else "",
                site=there.site if there else node.site if node else "",
                address=there.address if there else "",
                state=_state(there, cut),
                cpus=there.resources.get("CPU", 0.0) if there else 0.0,
                cpu_quota=node.cpu_quota if node else None,
                resources=dict(there.resources) if there else {},
                measured=known.nodes.get(name, {}),
                hardware=known.hardware.get(name, {}),
            )
        )
    order = {tier: index for index, tier in enumerate(spec.tiers)}
    return tuple(sorted(found, key=lambda node: (order.get(node.tier, len(order)), node.name)))


def _state(member: Member | None, cut: Mapping[str, float]) -> str:
    if member is None:
        return "missing"
    return "dead" if not member.alive else "cut" if member.name in cut else "up"
