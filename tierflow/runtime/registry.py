"""The registry: one detached actor on the head that keeps what the fabric knows of its nodes, links and functions.

It starts an agent on each node, lets agents probe links, takes in what processes saw and tells them what others saw.
It decides nothing about calls: a process that cannot reach it goes on with what it has.

The head's supervisor runs `start`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray

from tierflow.cost import Dispatch, Profiles, Watched
from tierflow.errors import MeasureError, ProfileError
from tierflow.runtime.agent import Facts
from tierflow.runtime.agents import Agents
from tierflow.runtime.beside import Own, own
from tierflow.runtime.cache import keep, profiles_file
from tierflow.runtime.calls import connect
from tierflow.runtime.journal import JOURNAL, Journal
from tierflow.runtime.measured import Measurements
from tierflow.runtime.membership import every_member, one_of_each, read_members
from tierflow.runtime.news import Sample, Sight, Update, Version, changes, profiled, seen, slowed
from tierflow.runtime.probing import Probing
from tierflow.runtime.record import REGISTRY_UP, FabricRecord
from tierflow.runtime.refusing import Doorkeeper
from tierflow.runtime.settings import FABRIC, SELDOM
from tierflow.runtime.sharing import REGISTRY
from tierflow.topology import ClusterSpec, Member, NodeSpec, Topology, load
from tierflow.topology.column import Value
from tierflow.topology.conditions import Conditions, NodeChange

__all__ = ["Registry", "start"]

log = logging.getLogger("tierflow.registry")

POLL = 2.0
"""Seconds between two looks at who is a member: on the head, so no link is crossed."""
SAVE_EVERY = 5.0
"""Seconds between two writes of profiles and measurements, where they have changed."""
ENDLESS = 2.0**50
"""Bytes, more than any path holds: the window of a stream that goes on at the rate that it had."""
IN_USE = 30.0
"""Seconds after the last call in which links that became slower are looked at again."""


class Registry(Own):
    """What is known of the fabric of a state folder, whose head is the node `head`."""

    def __init__(self, state: str, head: str) -> None:
        self._state = Path(state)
        self._spec = load(self._state / "cluster.yaml")
        self._conditions = known_conditions(Conditions.of(Topology.of(self._spec)), self._state)
        self._known = Watched()
        self._keep = profiles_file(self._spec.name)
        self._profiles = read_profiles(self._keep)
        self._changed: dict[str, int] = {}
        self._profiled = self._grown = 0
        self._mark = uuid4().hex[:8]
        self._used = time.monotonic()
        self._journal = Journal(self._state / JOURNAL)
        self._lock = threading.Lock()
        self._doorkeeper = Doorkeeper(self._state)
        self._agents = Agents(self._facts, _Tell(ray.get_runtime_context().current_actor))
        self._probing = Probing(head, self._agents, partial(self._see, probed=True))
        threading.Thread(target=self._run, name="tierflow-registry", daemon=True).start()
        threading.Thread(target=self._probe, name="tierflow-probing", daemon=True).start()

    def known(self) -> tuple[ClusterSpec, Update]:
        """All that is known, for a process that has just joined."""
        with self._lock:
            return self._spec, self._update(("", -1, -1))

    def share(
        self, samples: Sequence[Sample], sights: Sequence[Sight], records: Sequence[str], since: Version
    ) -> Update:
        """Take in what a process saw; what is new since the version that it had."""
        self._used = time.monotonic()
        with self._lock:
            self._profiled += bool(samples)
            for sample in samples:
                self._profiles = profiled(self._profiles, sample)
                self._changed[sample.function] = self._profiled
        self._see(sights)
        self._journal.append(records)
        with self._lock:
            return self._update(since)

    def busy(self, node: str, share: Value) -> None:
        """Take in what an agent says of its node: the share of its cores that others keep busy."""
        with self._lock:
            self._conditions = self._conditions.changed({node: NodeChange(busy=share)})

    def _see(self, sights: Sequence[Sight], *, probed: bool = False) -> None:
        now = time.monotonic()
        with self._lock:
            before, sights = self._conditions, [sight for sight in sights if self._is_known(sight)]
            for sight in sights:
                # Each process has its own clock: what it just told is taken to have been now.
                self._known, self._conditions = seen(replace(sight, ended=now), self._known, self._conditions)
            # What a probe tells of a link first is how it is; what a transfer tells may be a passing thing.
            slower = slowed(before, self._conditions, () if probed else sights)
        self._probing.look_again(slower)

    def _is_known(self, sight: Sight) -> bool:
        """Whether it is about nodes that are known here (yet)."""
        names = {sight.node} if isinstance(sight, Dispatch) else {sight.source, sight.target}
        return names <= self._conditions.fixed.nodes.keys()

    def _facts(self, node: str, facts: Facts) -> None:
        window = Value(ENDLESS) if facts.hardware.keeps_rate else None
        with self._lock:
            self._conditions = self._conditions.changed({node: NodeChange(speed=facts.speed, window=window)})

    def _run(self) -> None:
        saved, shown, due = self._profiles, -1, 0.0
        while True:
            try:
                members = one_of_each(self._doorkeeper.let_in(every_member()))
                self._grow(members)
                if self._ready():
                    self._agents.start([member for member in members if member.name in self._conditions.fixed.nodes])
            except Exception:  # of this thread there is no other, and the next look may go well
                log.exception("the nodes could not be looked at")
            if time.monotonic() >= due:
                due = time.monotonic() + SAVE_EVERY
                try:
                    saved, shown = self._save(saved, shown)
                except OSError as error:
                    log.warning("what was learned could not be written: %s", error)
            time.sleep(POLL)

    def _probe(self) -> None:
        while True:
            try:
                self._probing.run(self._conditions, self._known, used=time.monotonic() - self._used < IN_USE)
            except Exception:  # as above
                log.exception("the links could not be looked at")
            time.sleep(POLL)

    def _save(self, saved: Profiles, shown: int) -> tuple[Profiles, int]:
        """Write the profiles and the measurements if they are others than those that were written last."""
        profiles, conditions = self._profiles, self._conditions
        if profiles is not saved:
            keep(self._keep, profiles.dumps())
        if conditions.version != shown:
            Measurements.of(conditions, self._agents.hardware).write(self._state)
        return profiles, conditions.version

    def _ready(self) -> bool:
        """Whether the fabric has come up; before that its nodes have not the speed that they will have."""
        with suppress(OSError, ValueError):
            return FabricRecord.read(self._state).ready
        return False

    def _grow(self, members: Sequence[Member]) -> None:
        """Take in nodes that have joined and are not in the cluster file."""
        new = [member for member in members if member.alive and member.name not in self._conditions.fixed.nodes]
        new = [member for member in new if member.tier in self._spec.tiers and member.site]
        if not new:
            return
        joined = tuple(
            NodeSpec(name=member.name, tier=member.tier, site=member.site, cpus=int(member.resources.get("CPU", 1)))
            for member in new
        )
        spec = self._spec.model_copy(update={"nodes": (*self._spec.nodes, *joined)})
        with self._lock:
            self._spec, self._conditions = spec, self._conditions.on(Topology.of(spec))
            self._grown = self._conditions.version

    def _update(self, since: Version) -> Update:
        mark, seen, told = since
        if mark != self._mark:  # of a life before this one, which counted otherwise
            seen = told = -1
        functions = [name for name, version in self._changed.items() if version > told]
        profiles = Profiles({name: self._profiles.of(name) for name in functions}) if told >= 0 else self._profiles
        nodes, links = changes(self._conditions, seen)
        spec = self._spec if seen < self._grown else None
        return Update((self._mark, self._conditions.version, self._profiled), nodes, links, profiles, spec)


@dataclass(frozen=True)
class _Tell:
    """What an agent calls to tell the registry of its node's load."""

    registry: Any

    def __call__(self, node: str, share: Value) -> Any:
        return self.registry.busy.remote(node, share)


def known_conditions(declared: Conditions, state: Path) -> Conditions:
    """The conditions with what a registry before this one had measured, where it wrote that down."""
    try:
        return Measurements.read(state).onto(declared)
    except (KeyError, TypeError, MeasureError) as error:
        log.warning("what was measured before cannot be read (%s): it is measured again", error)
        return declared


def read_profiles(path: Path) -> Profiles:
    """The profiles in a file; none where there is no file. One that cannot be read is put aside, and said so."""
    try:
        return Profiles.loads(path.read_text())
    except FileNotFoundError:
        return Profiles()
    except (ProfileError, OSError, UnicodeDecodeError) as error:
        aside = path.with_suffix(".unreadable")
        log.warning("%s; it is now %s", error, aside)
        with suppress(OSError):
            path.replace(aside)
        return Profiles()


def start() -> None:
    """Start the registry of the fabric that this process is in, on this node, unless it runs."""
    connect(log_to_driver=False)
    here = ray.get_runtime_context().get_node_id()
    head = next(member.name for member in read_members() if member.ray_id == here)
    made = own(Registry, REGISTRY, head, max_concurrency=8, runtime_env={"env_vars": dict(SELDOM)})
    state = os.environ[FABRIC]
    registry: Any = made.remote(state, head)
    ray.get(registry.known.remote())
    (Path(state) / REGISTRY_UP).touch()
