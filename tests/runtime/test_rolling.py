"""When a node counts as back: its agent, and each of its actors that Ray starts again."""

from __future__ import annotations

from tierflow.runtime.lives import ActorState
from tierflow.runtime.rolling import missing_actors

OLD, NEW = b"old", b"new"
BEFORE = {
    b"1": ActorState("agent/gw-1", OLD, alive=True, comes_back=True),
    b"2": ActorState("model", OLD, alive=True, comes_back=True),
    b"3": ActorState("once", OLD, alive=True, comes_back=False),
}


def now(**nodes: bytes) -> dict[bytes, ActorState]:
    names = {"agent": (b"1", "agent/gw-1"), "model": (b"2", "model")}
    return {names[word][0]: ActorState(names[word][1], node, node != b"", True) for word, node in nodes.items()}


def test_a_node_is_back_with_its_agent_and_the_actors_that_come_back() -> None:
    assert missing_actors("gw-1", BEFORE, now(agent=NEW, model=NEW)) == set()


def test_an_actor_that_waits_for_its_node_is_missing() -> None:
    assert missing_actors("gw-1", BEFORE, now(agent=NEW, model=b"")) == {"model"}
    assert missing_actors("gw-1", BEFORE, now(agent=NEW)) == {"model"}


def test_an_actor_that_the_head_still_takes_to_be_in_the_old_life_is_missing() -> None:
    assert missing_actors("gw-1", BEFORE, now(agent=NEW, model=OLD)) == {"model"}


def test_a_node_that_was_not_there_before_is_back_with_its_agent() -> None:
    assert missing_actors("gw-1", {}, {}) == {"agent/gw-1"}
    assert missing_actors("gw-1", {}, now(agent=NEW)) == set()
