"""Restart nodes one after the other, each only when the one before it is back with its actors.

``python -m tierflow.runtime.rolling DRAIN WITHIN NODE...`` does it from a host that reaches the head, and prints what
`Step` holds, a JSON array a line. It is no member of the fabric, so that the head can be among the nodes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import astuple

import grpc

from tierflow.runtime.lives import ActorState, Life, Lives
from tierflow.runtime.restarting import Step

__all__ = ["missing_actors", "restart"]

POLL = 0.3
"""Seconds between two questions to the GCS."""


def restart(lives: Lives, name: str, *, drain: float, within: float) -> Iterator[Step]:
    """End the node's life and wait for the next; it is over with "back" or, after `within` seconds, "missing".

    For `drain` seconds at most it is given nothing new, and tasks that run there are waited for. The node's supervisor
    starts it again. A node with no life in the fabric is waited for, as one that starts just now.
    """
    old = set(lives.of(name))
    actors: dict[bytes, ActorState] = {}
    for life in old:
        yield Step(name, "draining", 0)
        running = _drained(lives, life, drain)
        actors |= {key: actor for key, actor in lives.actors().items() if actor.node == life.ray_id}
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
    lives.drain(life, "tierflow restart", within + POLL)
    while True:
        try:
            running = lives.running(life)
        except grpc.RpcError:  # it is cut, or gone already
            return 0
        if not running or time.monotonic() >= until:
            return running
        time.sleep(POLL)


def main() -> None:
    """See the module."""
    drain, within, head, *names = sys.argv[1:]
    lives = Lives(head)
    for name in names:
        for step in restart(lives, name, drain=float(drain), within=float(within)):
            print(json.dumps(astuple(step)), flush=True)
        if step.what == "missing":
            sys.exit(1)


if __name__ == "__main__":
    main()
