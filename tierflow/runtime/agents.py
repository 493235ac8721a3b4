"""The node agents as the registry knows them: one on each living node, and what they say of their hardware."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray

from tierflow.runtime.agent import Agent, Facts
from tierflow.runtime.beside import agent_name, own
from tierflow.runtime.hardware import Hardware
from tierflow.runtime.settings import SELDOM
from tierflow.topology import NODE, Member
from tierflow.topology.column import Value

__all__ = ["Agents"]

AGAIN = 300.0
"""Seconds after which an agent that could not measure its node is asked again."""

log = logging.getLogger("tierflow.registry")


class Agents:
    """One agent on each node.

    `told` is called here with a node and what its agent said of it, once that is known; `busy` is called by the agents,
    on their nodes, with the share of the cores that others keep busy.
    """

    def __init__(self, told: Callable[[str, Facts], None], busy: Callable[[str, Value], Any]) -> None:
        self._told, self._busy = told, busy
        self._asked: dict[Any, str] = {}
        self._lives: dict[str, str] = {}
        self._again: dict[str, float] = {}
        self._handles: dict[str, Any] = {}
        self.known: dict[str, Member] = {}
        """The nodes whose agents have answered."""
        self.hardware: dict[str, Hardware] = {}
        """What they have answered of their nodes."""

    def start(self, members: Sequence[Member]) -> None:
        """Start agents on nodes that have none, and take in what those that were started before have answered."""
        for member in members:
            again = time.monotonic() >= self._again.get(member.name, math.inf)
            if member.alive and member.labels.get(NODE) and (again or self._lives.get(member.name) != member.ray_id):
                self._again.pop(member.name, None)
                self._lives[member.name] = member.ray_id
                self.known.pop(member.name, None)
                handle = _agent(member.name, self._busy)
                self._handles[member.name] = handle
                self._asked[handle.facts.remote()] = member.name
        if not self._asked:
            return
        answered, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
        for ref in answered:
            name = self._asked.pop(ref)
            try:
                facts = ray.get(ref)
            except ray.exceptions.RayError as error:
                log.warning("the agent of %s did not say what its node is: %s", name, error)
                self._again[name] = time.monotonic() + AGAIN
                continue
            self.known[name] = next(member for member in members if member.name == name)
            self.hardware[name] = facts.hardware
            self._told(name, facts)

    def of(self, node: str) -> Any:
        """The handle of a node's agent."""
        return self._handles[node]


def _agent(node: str, busy: Callable[[str, Value], Any]) -> Any:
    return own(Agent, agent_name(node), node, runtime_env={"env_vars": dict(SELDOM)}).remote(node, busy)
