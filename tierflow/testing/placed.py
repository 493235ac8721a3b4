"""Where calls go in a fabric in this process: the planner of the real one decides, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any

from tierflow.cost import Call, Input, Profiles
from tierflow.planning import Policy, eligible, no_placement
from tierflow.planning.choose import Choice
from tierflow.planning.explanation import Explanation
from tierflow.runtime.asking import Refused, chosen, error_words, inputs, kept, next_best, refusals
from tierflow.runtime.flight import Flight, Seen
from tierflow.runtime.news import Update, profiled
from tierflow.runtime.placing import Placing
from tierflow.runtime.work import Work
from tierflow.testing.frames import Frame
from tierflow.topology import Member, Topology
from tierflow.topology.conditions import Conditions

__all__ = ["Outcome", "Placed", "Placer"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A call of `title` that was placed: the work that does it (a variant, perhaps), from where and when (virtual
    seconds).

    `others` are the nodes that may take it, in order, where the chosen one has no free core. `size` is the bytes of its
    arguments, also where the planner had to guess.
    """

    title: str
    work: Work
    call: Call
    choice: Choice
    others: tuple[str, ...]
    caller: str
    began: float
    size: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call goes: its result is at the caller at `moment` (virtual seconds)."""

    moment: float
    node: str
    compute: float
    result: int
    error: Exception | None = None


class Placer:
    """The choices of all programs and nodes: one `Placing` for each node that calls are made from.

    Links and nodes are as the file declares them, so only the functions' times are learned: of each call as soon as
    it has ended, and at once by every node.
    """

    def __init__(self, topology: Topology, cluster: Policy, program: Callable[[], Policy]) -> None:
        self._conditions = Conditions.of(topology)
        self._cluster, self._program = cluster, program
        self._callers: dict[str, _Caller] = {}
        self._profiles = Profiles()
        self._numbers = count()
        self._refused: dict[Work, tuple[tuple[object, ...], Refused]] = {}

    def place(
        self,
        work: Work,
        values: Sequence[Any],
        here: Frame,
        members: tuple[Member, ...],
        where: Callable[[Any], Input | None],
    ) -> Placed:
        """Choose for a call with these arguments; `where` tells the place and size of what is a reference.

        Raises:
            NoPlacement: no node can run it, or keep what its policy asks.
        """
        refused = self._refusals(work, members)
        caller, now = here.node, here.clock.now
        placing = self._at(caller, now).placing

        def known(value: Any) -> Input | None:
            found = where(value)
            if found is None or found.stay is not None:
                return found
            return placing.known(value.binary()) or found

        given = inputs(values, caller, known, stay=here.stay)
        size = sum(item.size for item in inputs(values, caller, where))
        policy = kept(work, self._program(), self._cluster)
        doer, call, choice = chosen(placing, work, policy, given, refused)
        others = next_best(choice, doer, placing)
        return Placed(work.request.name, doer, call, choice, others, caller, now, size)

    def ran(self, placed: Placed, key: bytes, outcome: Outcome) -> None:
        """Take note of how a call goes, whose result has the id `key`; its caller learns of it when it is over."""
        caller = self._callers[placed.caller]
        # Its time is not that of Ray's messages: it tells nothing of links.
        begin = caller.placing.begin
        flight = begin(key, placed.title, placed.call, placed.choice, 1, placed.began, tells=False)
        heappush(caller.flying, (outcome.moment, next(self._numbers), flight, placed.size, outcome))

    def keep(self, key: bytes, node: str, size: int, now: float) -> None:
        """Take note that a program put a value on its node."""
        self._at(node, now).placing.place(key, node, size)

    def explain(self, key: bytes, caller: str, now: float) -> Explanation | None:
        """Why the call whose result has this id was placed where it was; None if it was not made from this node."""
        return self._at(caller, now).placing.explain(key)

    def _at(self, node: str, now: float) -> _Caller:
        """The caller on a node, once it has heard of all calls that are over by now."""
        caller = self._callers.get(node)
        if caller is None:
            caller = self._callers[node] = _Caller(node, self._conditions)
            caller.placing.learn(Update(("", 0, 0), profiles=self._profiles))
        caller.now = now
        while caller.flying and caller.flying[0][0] <= now:
            moment, _, flight, size, outcome = heappop(caller.flying)
            caller.now = moment
            self._end(caller.placing, flight, size, outcome)
        caller.now = now
        return caller

    def _end(self, placing: Placing, flight: Flight, size: float, outcome: Outcome) -> None:
        if outcome.error is not None:
            placing.end(flight, None, error_words(outcome.error))
            return
        placing.end(flight, Seen(outcome.node, outcome.compute, outcome.result, size))
        samples, _, _ = placing.news()
        for sample in samples:
            self._profiles = profiled(self._profiles, sample)
        for caller in self._callers.values():
            caller.placing.learn(Update(("", 0, 0), profiles=self._profiles))

    def _refusals(self, work: Work, members: tuple[Member, ...]) -> Refused:
        """The nodes that cannot run a work or its variants: the same object as long as the same nodes live."""
        state = (work.variants, *(member.name for member in members if member.alive))
        known = self._refused.get(work)
        if known is None or known[0] != state:
            if not eligible(work.request, members).nodes:
                raise no_placement(work.request, members)
            known = self._refused[work] = state, refusals(work, members, ())
        return known[1]


class _Caller:
    """A node that calls are made from: its planner, its time, and its calls that are not over."""

    def __init__(self, node: str, conditions: Conditions) -> None:
        self.now = 0.0
        self.placing = Placing(node, conditions, lambda: self.now, lambda: self.now)
        self.flying: list[tuple[float, int, Flight, float, Outcome]] = []
