"""tierflow: a compute fabric for edge intelligence. One Ray cluster over device, edge and cloud.

    @tierflow.task(tier="edge")
    def detect(frame): ...

    detect(frame)                            # here and now, with no fabric
    tierflow.get(detect.remote(frame))       # on an edge node

The house, from the ground up; a room imports only rooms below it:

- 7 `cli`: the command line
- 5 `sdk`: decorators, references, where things run: what a program touches, and what is listed here. `testing`
  stands beside it: the same program with no cluster
- 4 `runtime`: the only door to Ray: start and join a fabric, submit calls and jobs
- 3 `control`: what is done about time and loss, as pure reducers; `exchange`: Arrow data between nodes; `rig`: hosts
  and shaped links on one machine
- 2 `planning`: choose nodes
- 1 `cost`: predict time, energy, money and bytes; the only place with formulas
- 0 `topology`: the cluster file, nodes and links; `units`; `errors`
"""

from __future__ import annotations

from tierflow.errors import Cut, FabricError, NoPlacement, OptionError, OutboxFull, Refusal, StayRefused, TierflowError
from tierflow.sdk import (
    Actor,
    Followed,
    Inbox,
    Outbox,
    Placement,
    Stream,
    Task,
    actor,
    describe,
    explain,
    follow,
    get,
    init,
    multicast,
    nodes,
    placement,
    publish,
    put,
    stream,
    task,
    traffic,
    wait,
)
from tierflow.topology import Envelope, Member

__all__ = [
    "Actor",
    "Cut",
    "Envelope",
    "FabricError",
    "Followed",
    "Inbox",
    "Member",
    "NoPlacement",
    "OptionError",
    "Outbox",
    "OutboxFull",
    "Placement",
    "Refusal",
    "StayRefused",
    "Stream",
    "Task",
    "TierflowError",
    "actor",
    "describe",
    "explain",
    "follow",
    "get",
    "init",
    "multicast",
    "nodes",
    "placement",
    "publish",
    "put",
    "stream",
    "task",
    "traffic",
    "wait",
]
