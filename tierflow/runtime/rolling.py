"""Restart one node and wait until it is back with its actors.

``python -m tierflow.runtime.rolling DRAIN WITHIN HEAD NODE`` does it from a host that reaches the head, and prints what
`Step` holds, a JSON array a line. It is no member of the fabric, so that the node can be the head. DRAIN is "-" for a
node that starts just now.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import astuple

import grpc

from tierflow.runtime.answering import answers
from tierflow.runtime.lives import ActorState, Life, Lives
from tierflow.runtime.restarting import Step

__all__ = ["missing_actors", "restart"]

PATIENCE = 5.0
"""Seconds that a node may take to accept a connection."""
POLL = 0.3
"""Seconds between two questions to the GCS."""


def restart(lives: Lives, name: str, *, drain: float | None, within: float) -> Iterator[Step]:
    """End the node's life and wait for the next; it is over with "back" or, after `within` seconds, "missing".

    For `drain` seconds at most it is given nothing new, and tasks that run there are waited for. The node's supervisor
    starts it again. With None for `drain` it is only waited for, as one that starts just now. A life that does not
    answer, since its node is cut off or has no power, is left to the next one to end.
    """
    lived = lives.of(name)
    up = {life for life in lived if answers(life.place, PATIENCE)}
    old = set(lived) if drain is not None else set(lived) - up
    actors = {key: actor for key, actor in lives.actors().items() if actor.node in {life.ray_id for life in old}}
    for life in old & up:
        yield Step(name, "draining", 0)
        running = _drained(lives, life, drain or 0.0)
        actors = {key: actor for key, actor in lives.actors().items() if actor.node == life.ray_id}
        lives.end(life, "tierflow restart", on_purpose=True)
        yield Step(name, "away", running)
        if lost := sum(not actor.comes_back for actor in actors.values()):
            yield Step(name, "lost", lost)
    began = time.monotonic()
    joined = False
    missing: set[str] = set()
    while time.monotonic() - began < within:
        try:
            now = [life for life in lives.of(name) if life not in old]
            missing = missing_actors(name, actors, lives.actors())
        except grpc.RpcError:  # the head is on its way back, too
            now = []
        if now and not joined:
            joined = True
            yield Step(name, "joined", 0, time.monotonic() - began)
        if now and not missing:
            yield Step(name, "back", sum(actor.comes_back for actor in actors.values()), time.monotonic() - began)
            return
        time.sleep(POLL)
    yield Step(name, "missing", len(missing) if joined else -1, time.monotonic() - began)


def missing_actors(node: str, before: Mapping[bytes, ActorState], now: Mapping[bytes, ActorState]) -> set[str]:
    """The node's agent and the actors that come back of those that it had, as far as they do not answer yet.

    Ray may have found another node for one that is not held to this node.
    """
    missing = {
        actor.name
        for key, actor in before.items()
        if actor.comes_back and not (key in now and now[key].alive and now[key].node != actor.node)
    }
    if not any(actor.name == f"agent/{node}" and actor.alive for actor in now.values()):
        missing.add(f"agent/{node}")
    return missing


def _drained(lives: Lives, life: Life, within: float) -> int:
    """Keep new work from the node and wait for the tasks on it; how many still run when the time is over."""
    until = time.monotonic() + within
    try:
        lives.drain(life, "tierflow restart", within + POLL)
        while (running := lives.running(life)) and time.monotonic() < until:
            time.sleep(POLL)
    except grpc.RpcError:  # it is cut, or gone already
        return 0
    return running


def main() -> None:
    """See the module."""
    drain, within, head, name = sys.argv[1:]
    lives = Lives(head)
    for step in restart(lives, name, drain=None if drain == "-" else float(drain), within=float(within)):
        print(json.dumps(astuple(step)), flush=True)


if __name__ == "__main__":
    main()
