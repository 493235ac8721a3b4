"""The lives of nodes as Ray's GCS has them: one from each joining to the next leaving; and how to end one.

Spoken to by gRPC and not through Ray's client, which is in the fabric itself and so ends with the head or its node.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import (
    autoscaler_pb2,
    autoscaler_pb2_grpc,
    common_pb2,
    gcs_pb2,
    gcs_service_pb2,
    gcs_service_pb2_grpc,
    node_manager_pb2,
    node_manager_pb2_grpc,
)

__all__ = ["ActorState", "Life", "Lives"]

PATIENCE = 20.0
"""Seconds that the GCS may take to answer."""
NO_ID = b"\xff"
"""What Ray fills an id with that is none."""


@dataclass(frozen=True, slots=True)
class Life:
    """One stay of a node in the fabric."""

    ray_id: bytes
    address: str
    port: int

    @property
    def place(self) -> str:
        """Where its raylet listens: ``address:port``."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class ActorState:
    """An actor as the GCS has it; `comes_back` says whether Ray starts it again when its node has gone."""

    name: str
    node: bytes
    alive: bool
    comes_back: bool


class Lives:
    """What the GCS at ``head`` (``address:port``) knows; uses the token and the certificates of the environment.

    Every method raises `grpc.RpcError` where the GCS does not answer in 20 s, or refuses the token.
    """

    def __init__(self, head: str) -> None:
        channel = init_grpc_channel(head)
        self._nodes = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
        self._actors = gcs_service_pb2_grpc.ActorInfoGcsServiceStub(channel)
        self._drains = autoscaler_pb2_grpc.AutoscalerStateServiceStub(channel)

    def of(self, name: str) -> list[Life]:
        """The lives under this name that are not over, as far as the GCS knows."""
        selector = gcs_service_pb2.GetAllNodeInfoRequest.NodeSelector(node_name=name)
        request = gcs_service_pb2.GetAllNodeInfoRequest(
            node_selectors=[selector], state_filter=gcs_pb2.GcsNodeInfo.ALIVE
        )
        rows: Any = self._nodes.GetAllNodeInfo(request, timeout=PATIENCE).node_info_list
        return [Life(row.node_id, row.node_manager_address, row.node_manager_port) for row in rows]

    def end(self, life: Life, why: str, *, on_purpose: bool = False) -> None:
        """Have the GCS take this life for over; one that goes on ends itself when it hears of it.

        Its actors are started again where their labels let them; what ends `on_purpose` is not counted as one of
        their restarts.
        """
        reasons = common_pb2.NodeDeathInfo.Reason
        reason = reasons.AUTOSCALER_DRAIN_PREEMPTED if on_purpose else reasons.UNEXPECTED_TERMINATION
        death = common_pb2.NodeDeathInfo(reason=reason, reason_message=why)
        self._nodes.UnregisterNode(
            gcs_service_pb2.UnregisterNodeRequest(node_id=life.ray_id, node_death_info=death), timeout=PATIENCE
        )

    def drain(self, life: Life, why: str, within: float) -> None:
        """Let nothing new be started there; Ray expects the node to end in so many seconds."""
        self._drains.DrainNode(
            autoscaler_pb2.DrainNodeRequest(
                node_id=life.ray_id,
                reason=autoscaler_pb2.DRAIN_NODE_REASON_PREEMPTION,
                reason_message=why,
                deadline_timestamp_ms=int((time.time() + within) * 1000),
            ),
            timeout=PATIENCE,
        )

    def running(self, life: Life) -> int:
        """How many tasks run there now, as its raylet says; calls of actors are not counted."""
        raylet = node_manager_pb2_grpc.NodeManagerServiceStub(init_grpc_channel(life.place))
        reply: Any = raylet.GetNodeStats(node_manager_pb2.GetNodeStatsRequest(), timeout=PATIENCE)
        driver = common_pb2.WorkerType.DRIVER
        rows = [row for row in reply.core_workers_stats if row.worker_type != driver and not row.actor_id.strip(NO_ID)]
        return sum(row.num_running_tasks for row in rows)

    def actors(self) -> dict[bytes, ActorState]:
        """Every actor that is not dead for good, by its id."""
        reply: Any = self._actors.GetAllActorInfo(gcs_service_pb2.GetAllActorInfoRequest(), timeout=PATIENCE)
        states = gcs_pb2.ActorTableData.ActorState
        return {
            row.actor_id: ActorState(
                row.name or row.class_name, row.address.node_id, row.state == states.ALIVE, row.max_restarts != 0
            )
            for row in reply.actor_table_data
            if row.state != states.DEAD
        }
