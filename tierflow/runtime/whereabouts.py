"""Where a task or an actor runs, as Ray's GCS and its state API tell it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ray
from ray._private.state import actors

from tierflow.errors import FabricError
from tierflow.planning import Request, eligible
from tierflow.planning.request import CHOSEN
from tierflow.runtime.work import Placement
from tierflow.topology import Member

__all__ = ["ActorNodes", "reason", "whereabouts"]

PATIENCE = 5.0
"""Seconds to wait for what has just been submitted: nodes report their tasks to the GCS once a second."""

ASK = 0.25
"""Seconds that Ray's GCS has to say where an actor is; it may be cut off itself."""
ASK_EVERY = 1.0
"""Seconds between two such questions about one actor."""


def whereabouts(of: Any, members: Sequence[Member]) -> Placement:
    """Where the actor of a handle, or the task that made a reference, runs or ran.

    Raises:
        TypeError: `of` is neither.
        FabricError: Ray does not know (yet).
    """
    if isinstance(of, ray.actor.ActorHandle):
        look: Callable[[str], tuple[str, str]] = _actor
        key = of._actor_id.hex()
    elif isinstance(of, ray.ObjectRef):
        look, key = _task, of.task_id().hex()
    else:
        raise TypeError(f"placement() takes an actor handle or an object reference, not {type(of).__name__}")
    title, ray_id = look(key)
    until = time.monotonic() + PATIENCE
    while not ray_id and time.monotonic() < until:
        time.sleep(0.05)
        title, ray_id = look(key)
    member = next((member for member in members if member.ray_id == ray_id), None)
    if member is None:
        raise FabricError(f"{title or of} is not placed on a node of the fabric", "ask again when it has started")
    return Placement(member.name, member.tier, member.site, reason(title, member, members))


def reason(title: str, member: Member, members: Iterable[Member]) -> str:
    """Why a work of this title (see `Request.title`) is on this member, in words."""
    everyone = tuple(members)
    request = _request(title, everyone)
    chosen = CHOSEN in title.partition("/")[0]
    if request.asked == "any node":
        return "asked for any node; chosen by predicted cost" if chosen else "asked for any node"
    nodes = [node.name for node in eligible(request, everyone).nodes]
    if nodes == [member.name]:
        return f"asked for {request.asked}; {member.name} is the only node that fits"
    if chosen and len(nodes) > 1:
        return f"asked for {request.asked}; of {len(nodes)} nodes that fit, {member.name} was chosen by predicted cost"
    if request.tiers and member.tier != request.tiers[0]:
        return f"asked for {request.asked}; no node of tier {request.tiers[0]} was free, {member.name} was"
    return f"asked for {request.asked}; {member.name} is one of {len(nodes)} nodes that fit"


def _request(title: str, members: Sequence[Member]) -> Request:
    """What the title says was asked; its place is a node's name or, as no node has a site's name, a site."""
    place, slash, name = title.partition("/")
    if not slash:
        return Request(title)
    tiers, _, at = place.partition(CHOSEN)[0].partition("@")
    is_node = any(member.name == at for member in members)
    asked = tuple(tiers.split("|")) if tiers != "any" else ()
    return Request(name, asked, site=None if is_node else at or None, node=at if is_node else None)


def _actor(actor_id: str) -> tuple[str, str]:
    row = actors(actor_id) or {}
    return row.get("ActorClassName", ""), row.get("Address", {}).get("NodeID", "")


def _task(task_id: str) -> tuple[str, str]:
    from ray.util.state import get_task

    found = get_task(task_id)
    rows = found if isinstance(found, list) else [found]
    row = max((row for row in rows if row is not None), key=lambda row: row.attempt_number, default=None)
    return (row.name, row.node_id or "") if row else ("", "")


class ActorNodes:
    """The nodes of actors, as Ray's GCS says if it can be asked, or as it last did; it is asked by threads beside.

    `members` gives the nodes that there are.
    """

    def __init__(self, members: Callable[[], Sequence[Member]]) -> None:
        self._members = members
        self._known: dict[bytes, str] = {}
        self._asking: dict[bytes, tuple[threading.Thread, float]] = {}

    def node(self, actor: bytes) -> str | None:
        """The name of the node of the actor with this id; None where that was never heard."""
        thread, began = self._asking.get(actor, (None, -ASK_EVERY))
        over = thread is None or not thread.is_alive()  # where the GCS is cut off it lives for long
        if over and time.monotonic() >= began + ASK_EVERY:
            thread = threading.Thread(target=self._ask, args=(actor,), name="tierflow-actor", daemon=True)
            self._asking[actor] = thread, time.monotonic()
            thread.start()
            thread.join(ASK)
        return self._known.get(actor)

    def _ask(self, actor: bytes) -> None:
        row = actors(actor.hex()) or {}
        ray_id = row.get("Address", {}).get("NodeID", "")
        found = next((member.name for member in self._members() if member.ray_id == ray_id), None)
        if found is not None:
            self._known[actor] = found
