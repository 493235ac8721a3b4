"""A fabric in this process: the same program, the same placement, no cluster, virtual time."""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from typing import Any

from ray.exceptions import GetTimeoutError, RayTaskError

from tierflow.cost import Input
from tierflow.errors import FabricError
from tierflow.exchange import Envelope
from tierflow.planning import Policy, eligible, no_placement
from tierflow.planning.explanation import Explanation
from tierflow.runtime.asking import can_choose
from tierflow.runtime.flows import ActorNode, TaskNode
from tierflow.runtime.whereabouts import reason
from tierflow.runtime.work import Placement, Work
from tierflow.sdk.body import drain, is_stream
from tierflow.sdk.fabric import program_policy
from tierflow.testing.actors import ActorState, LocalHandle, bound
from tierflow.testing.clock import MockClock
from tierflow.testing.cores import Cores
from tierflow.testing.frames import Frame, frame, inside
from tierflow.testing.labels import LocalCall, described, opened, refusal
from tierflow.testing.network import Network
from tierflow.testing.placed import Outcome, Placed, Placer
from tierflow.testing.references import LocalReader, Reference, References, Value, dumps, loads
from tierflow.topology import NODE, SITE, TIER, ClusterSpec, Member, Stay, Topology, strictest

__all__ = ["LocalFabric"]


class LocalFabric:
    """The nodes of a cluster file, all in this process. Open one with `tierflow.testing.fabric`.

    A call runs at once, in the process and thread that makes it, and ends before `.remote()` returns; only the time is
    virtual. A generator runs on as its items are asked for. `durations` gives the seconds that a task (``"detect"``), a
    method (``"Detector.score"``) or each item of a generator takes on a node of speed 1; others take none.
    """

    def __init__(self, spec: ClusterSpec, durations: Mapping[str, float]) -> None:
        self.topology = Topology.of(spec)
        self.clock = MockClock()
        """The program's own time."""
        self._durations = dict(durations)
        self._network = Network(self.topology)
        self._driver = Frame(spec.head.name, self.clock)
        self._values: dict[Reference, Value] = {}
        self._actors: list[ActorState] = []
        self._named: dict[str, LocalHandle] = {}
        self._lost: set[str] = set()
        cluster = Policy.of_file(spec.policy)
        self._placer = Placer(self.topology, cluster, program_policy)
        self._cores = Cores(self.topology)
        self._exported: set[Work] = set()
        self._number = 0

    @property
    def sent(self) -> Mapping[str, int]:
        """Bytes that went over each link, by link name ("plant-1->region-1")."""
        return self._network.sent

    def traffic(self) -> Mapping[str, int]:
        """The same as `sent`, for `tierflow.traffic`."""
        return dict(self._network.sent)

    def ready_at(self, ref: Any) -> float:
        """When (virtual seconds) the value of a reference was there, on the node that made it."""
        return self._value(ref).ready

    def lose(self, node: str) -> None:
        """Let a node die: nothing is placed on it, and its actors are dead."""
        self.topology.node(node)
        self._lost.add(node)
        for actor in self._actors:
            if actor.node == node:
                actor.death = f"its node {node} is lost"

    def restore(self, node: str) -> None:
        """Let a node that was lost join again, without its actors."""
        self._lost.discard(node)

    def members(self) -> tuple[Member, ...]:
        """The nodes; all that a living one has is free."""
        members = []
        for node in sorted(self.topology.nodes, key=lambda node: node.name):
            has = {"CPU": float(node.cpus), "GPU": float(node.gpus), node.tier: float(node.cpus)}
            has["memory"] = math.inf if node.memory is None else float(node.memory)
            labels = {TIER: node.tier, SITE: node.site, NODE: node.name}
            alive = node.name not in self._lost
            members.append(Member(node.name, node.tier, node.site, alive, has, has, labels, node.name, "in-process"))
        return tuple(members)

    def placement(self, of: Any) -> Placement:
        """Where an actor lives or a task ran."""
        if isinstance(of, LocalHandle):
            name, title = of._state.node, of._state.work.request.title
        elif isinstance(of, Reference):
            name, title = self._value(of).origin, self._value(of).title
        else:
            raise TypeError(f"placement() takes an actor handle or an object reference, not {type(of).__name__}")
        members = self.members()
        member = next(member for member in members if member.name == name)
        return Placement(member.name, member.tier, member.site, reason(title, member, members))

    def describe(self, ref: Any) -> Envelope:
        """What is known of a value."""
        return described(self._value(ref), self.topology)

    def explain(self, of: Any) -> Explanation:
        """Why the task of a reference was placed where it was; how it went, once its result could be here."""
        if not isinstance(of, Reference):
            raise TypeError(f"explain() takes an object reference, not {type(of).__name__}")
        found = self._placer.explain(of.binary(), self._frame.node, self._frame.clock.now)
        if found is None:
            raise FabricError(
                f"nothing is known of how {of.hex()} was placed",
                "ask on the node that made the call; only tasks with one result are looked at",
            )
        return found

    def start(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task or create an actor."""
        if isinstance(work.body, type):
            return self._create(work, args, kwargs)
        inspect.signature(work.raw).bind(*args, **kwargs)
        here, given = self._frame, [*args, *kwargs.values()]
        doer, node, placed = self._choose(work, given)
        self._export(doer)
        cpus, began = doer.request.resources.get("CPU", 0.0), [here.clock.now]

        def begin(arrival: float) -> float:
            began.append(max(arrival, self._cores.free(node, cpus)))
            return began[-1]

        def end(moment: float) -> None:
            self._cores.take(node, cpus, moment)

        stay, frees = doer.policy.stay, bool(doer.releases)
        call = LocalCall(doer.request.title, doer.request.name, node, doer.body, begin, end, stay=stay, releases=frees)
        made = self._run(call, args, kwargs, dict(doer.options))
        if placed is not None and doer.observed is not None:
            value = self._value(made)
            back = value.ready + self._network.time(node, here.node, len(value.data))
            outcome = Outcome(back, node, value.ready - began[-1], len(value.data), value.error)
            self._placer.ran(placed, made.binary(), outcome)
        return made

    def bind(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Add the work to a flow: a Ray DAG node."""
        node = ActorNode if isinstance(work.body, type) else TaskNode
        return node(lambda *given, **named: self.start(work, given, named), work.body, args, kwargs, {})

    def call(self, actor: ActorState, method: str, args: Any, kwargs: Any, options: dict[str, Any]) -> Any:
        """Call a method of an actor."""
        kind, title = actor.work.request.name, actor.work.request.title
        if actor.death:
            return self._keep(Value(b"", actor.node, self._frame.clock.now, title, error=actor.died()))
        function = bound(actor, method)
        inspect.signature(function).bind(*args, **kwargs)
        serial = actor.serial

        def begin(arrival: float) -> float:
            return max(arrival, actor.free) if serial else arrival

        def end(moment: float) -> None:
            actor.free = max(actor.free, moment)

        def run(*args: Any, **kwargs: Any) -> Any:
            result: Any = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                return actor.loop().run(result)
            return drain(result, actor.loop()) if isinstance(result, AsyncGenerator) else result

        given = {"num_returns": getattr(function, "__ray_num_returns__", None), **options}
        streams, frees = is_stream(function), method in actor.work.releases
        call = LocalCall(title, f"{kind}.{method}", actor.node, run, begin, end, streams, None, frees, actor)
        return self._run(call, args, kwargs, given)

    def get(self, refs: Any, *, timeout: float | None = None) -> Any:
        """The value of a reference or of several; time passes until they are here."""
        if not isinstance(refs, Reference):
            return [self.get(ref, timeout=timeout) for ref in refs]
        here, value = self._frame, self._value(refs)
        arrival = self._arrival(value, here.node, here.clock.now)
        if timeout is not None and arrival > here.clock.now + timeout:
            here.clock.advance(timeout)
            raise GetTimeoutError(f"Get timed out: {refs} is there at {arrival:.6f} s")
        here.clock.reach(self._bring(value, here.node, here.clock.now))
        return opened(value, here, self.topology)

    def wait(self, refs: Sequence[Any], *, num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """The first `num_returns` references to be here, and the others; time passes until then."""
        if not 0 < num_returns <= len(refs):
            raise ValueError(f"num_returns is {num_returns}, for {len(refs)} references")
        here = self._frame
        arrivals = {ref: self._arrival(self._value(ref), here.node, here.clock.now) for ref in refs}
        moment = sorted(arrivals.values())[num_returns - 1]
        here.clock.reach(moment if timeout is None else min(moment, here.clock.now + timeout))
        ready = [ref for ref in refs if arrivals[ref] <= here.clock.now][:num_returns]
        return ready, [ref for ref in refs if ref not in ready]

    def stream(self, items: Any, ahead: float) -> LocalReader:
        """What reads a generator of references; each item is made when it is asked for, so nothing is ahead."""
        return LocalReader(items, self.get)

    def put(self, value: Any, stay: Stay | None = None) -> Any:
        """A reference to a copy of the value, kept where the caller runs."""
        (data, held), here = dumps(value), self._frame
        made = self._keep(Value(data, here.node, here.clock.now, held=held, stay=strictest((stay, here.stay))))
        self._placer.keep(made.binary(), here.node, len(data), here.clock.now)
        return made

    def kill(self, handle: LocalHandle) -> None:
        """End an actor."""
        handle._state.death = "it was killed by `ray.kill`"
        self._named = {name: other for name, other in self._named.items() if other != handle}

    def named(self, name: str) -> LocalHandle:
        """The actor of this name. Raises `ValueError` where there is none, as Ray does."""
        if name not in self._named:
            raise ValueError(f"Failed to look up actor with name '{name}'.")
        return self._named[name]

    def close(self) -> None:
        """End every actor and forget every value."""
        for actor in self._actors:
            actor.close()
        self._values.clear()
        self._named.clear()

    @property
    def _frame(self) -> Frame:
        return frame.get(self._driver)

    def _create(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LocalHandle:
        name = work.options.get("name")
        if name in self._named:
            if work.options.get("get_if_exists"):
                return self._named[name]
            raise ValueError(f"The name {name} is already taken.")
        if work.raw.__init__ is not object.__init__:
            inspect.signature(work.raw).bind(*args, **kwargs)
        self._export(work)
        actor = ActorState(work, self._choose(work, [*args, *kwargs.values()])[1])
        self._number += 1
        handle = LocalHandle(actor, self._number, self)
        self._actors.append(actor)
        if name:
            self._named[name] = handle

        def make(*args: Any, **kwargs: Any) -> None:
            actor.instance = work.body(*args, **kwargs)

        def end(moment: float) -> None:
            actor.free = moment

        ends, asked = (lambda arrival: arrival, end), work.request
        call = LocalCall(asked.title, asked.name, actor.node, make, *ends, stay=work.policy.stay, actor=actor)
        made = self._value(self._run(call, args, kwargs, {}))
        if made.error is not None:
            actor.death, actor.failure = "its construction failed", made.error
        return handle

    def _choose(self, work: Work, given: Sequence[Any]) -> tuple[Work, str, Placed | None]:
        """What does the work, where, and the choice where that was the fabric's."""
        here, members = self._frame, self.members()
        if not can_choose(work):
            nodes = eligible(work.request, members).nodes
            if not nodes:
                raise no_placement(work.request, members)
            return work, nodes[0].name, None
        placed = self._placer.place(work, given, here, members, self._where)
        ways, cpus = (placed.choice.node, *placed.others), work.request.resources.get("CPU", 0.0)
        free = (node for node in ways if self._cores.free(node, cpus) <= here.clock.now)
        return placed.work, next(free, ways[0]), placed

    def _where(self, value: Any) -> Input | None:
        if not isinstance(value, Reference):
            return None
        known = self._value(value)
        return Input(known.origin, float(len(known.data)), known.stay, stored=True)

    def _export(self, work: Work) -> None:
        if work not in self._exported:
            dumps(work.body)
            self._exported.add(work)

    def _run(self, call: LocalCall, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Any:
        here = self._frame
        given = [*args, *kwargs.values()]
        data, held = dumps([None if isinstance(value, Reference) else value for value in given])
        arrival = here.clock.now + self._network.send(here.node, call.node, len(data))
        values, failed = loads(data, held), None
        read = here.stay if any(not isinstance(value, Reference) for value in given) else None
        for place, value in enumerate(given):
            if isinstance(value, Reference):
                known = self._value(value)
                arrival = max(arrival, self._bring(known, call.node, here.clock.now))
                failed = failed or known.error or refusal(known, call.node, self.topology)
                read = strictest((read, known.stay))
                values[place] = None if failed else loads(known.data, known.held)
        there = call.frame(arrival, read)
        named = dict(zip(kwargs, values[len(args) :], strict=True))
        if failed is not None:
            return self._keep(Value(b"", call.node, arrival, call.title, error=failed))
        if call.streams or is_stream(call.function):
            return References(self._stream(call, there, call.function(*values[: len(args)], **named)))
        try:
            result = self._attempts(call, there, lambda: call.function(*values[: len(args)], **named), options)
        except Exception as error:
            return self._keep(self._failure(call, there, error))
        return self._results(call, there, result, options.get("num_returns"))

    def _attempts(self, call: LocalCall, there: Frame, run: Callable[[], Any], options: Mapping[str, Any]) -> Any:
        again = options.get("retry_exceptions") or False
        kinds = Exception if again is True else tuple(again or ())
        left = options.get("max_retries", 3) if again else 0
        while True:
            try:
                result = inside(there, run)
            except kinds:
                there.clock.advance(self._duration(call))
                if left == 0:
                    raise
                left -= 1
            else:
                there.clock.advance(self._duration(call))
                call.end(there.clock.now)
                return result

    def _results(self, call: LocalCall, there: Frame, result: Any, count: int | None) -> Any:
        if count in (None, 1):
            return self._result(call, there, result)
        results = list(result) if count else []
        if len(results) != count:
            error = ValueError(f"Task returned {len(results)} objects, but num_returns={count}.")
            return [self._keep(self._failure(call, there, error)) for _ in range(count or 0)]
        return [self._result(call, there, item) for item in results] or None

    def _result(self, call: LocalCall, there: Frame, result: Any) -> Reference:
        try:
            data, held = dumps(result)
        except Exception as error:
            return self._keep(self._failure(call, there, error))
        return self._keep(Value(data, call.node, there.clock.now, call.title, held, stay=call.label(there)))

    def _stream(
        self, call: LocalCall, there: Frame, items: Generator[Any, None, None]
    ) -> Generator[Reference, None, None]:
        try:
            while True:
                try:
                    item = inside(there, lambda: next(items))
                except StopIteration:
                    return
                except Exception as error:
                    yield self._keep(self._failure(call, there, error))
                    return
                there.clock.advance(self._duration(call))
                call.end(there.clock.now)
                yield self._result(call, there, item)
        finally:
            inside(there, items.close)

    def _failure(self, call: LocalCall, there: Frame, error: Exception) -> Value:
        text = "".join(traceback.format_exception(error))
        failure = RayTaskError(call.title, text, error, f"ray::{call.title}", 0, call.node)  # type: ignore[no-untyped-call]
        call.end(there.clock.now)
        return Value(b"", call.node, there.clock.now, call.title, error=failure)

    def _duration(self, call: LocalCall) -> float:
        return self._durations.get(call.name, 0.0) / self.topology.node(call.node).pace

    def _keep(self, value: Value) -> Reference:
        self._number += 1
        reference = Reference(self._number, self.get)
        self._values[reference] = value
        return reference

    def _value(self, ref: Any) -> Value:
        if ref not in self._values:
            raise FabricError(f"{ref} is not of this fabric", "it was made outside, or in a fabric that is closed")
        return self._values[ref]

    def _arrival(self, value: Value, node: str, now: float) -> float:
        known = value.ready if node == value.origin else value.copies.get(node)
        return (
            max(value.ready, now) + self._network.time(value.origin, node, len(value.data)) if known is None else known
        )

    def _bring(self, value: Value, node: str, now: float) -> float:
        if node != value.origin and node not in value.copies:
            took = self._network.send(value.origin, node, len(value.data))
            value.copies[node] = max(value.ready, now) + took
        return self._arrival(value, node, now)
