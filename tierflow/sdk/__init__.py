"""What a user's program touches: decorators, and the fabric that their calls go to."""

from __future__ import annotations

from tierflow.runtime.work import Placement
from tierflow.sdk.actor import Actor, actor
from tierflow.sdk.fabric import describe, explain, get, init, nodes, placement, put, traffic, wait
from tierflow.sdk.inbox import Inbox
from tierflow.sdk.multicast import multicast
from tierflow.sdk.outbox import Outbox
from tierflow.sdk.stream import Stream, stream
from tierflow.sdk.task import Task, task
from tierflow.sdk.versions import Followed, follow, publish

__all__ = [
    "Actor",
    "Followed",
    "Inbox",
    "Outbox",
    "Placement",
    "Stream",
    "Task",
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
