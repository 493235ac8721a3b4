"""Submit calls to the nodes that are chosen for them, and hear how they went: where Ray and `Placing` meet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import ray

from tierflow.cost.call import Input, Variant
from tierflow.errors import NoPlacement
from tierflow.planning import Policy
from tierflow.planning.choose import Choice
from tierflow.planning.explanation import Explanation
from tierflow.runtime.placing import Flight, Seen
from tierflow.runtime.sharing import Sharing
from tierflow.runtime.starters import Starters
from tierflow.runtime.weight import weight
from tierflow.runtime.work import Placement, Ready, Work
from tierflow.topology import Member

__all__ = ["Guide", "can_choose"]

BRIEF = 0.005
"""Seconds of work below which not every call is chosen for and observed: both would cost a share of the call."""
FIRST_CALLS = 16
"""Calls of a function that are all observed, however brief."""
STRIDE = 8
"""Of brief calls, one in so many is chosen for and observed; it stands for all of them."""
OTHERS = 2
"""How many next best nodes Ray may fall back to."""
OTHERS_OF_ACTOR = 16
"""The same for what is not started anew at each call: an actor is started again there if its node is lost."""
MOMENT = 0.1
"""Seconds by which what is told of a call may be later than its result."""
SMALL = (int, float, bool, type(None))
INLINE_TEXT = 1024


class Guide:
    """The chosen placement of this process's calls."""

    def __init__(self, sharing: Sharing, program: Callable[[], Policy], members: Sequence[Member]) -> None:
        self.placing, self._sharing, self._program = sharing.placing, sharing, program
        self._names: dict[str, str] = {}
        self._members: dict[str, Member] = {}
        self.meet(members)

    @classmethod
    def open(cls, program: Callable[[], Policy], members: Sequence[Member]) -> Guide | None:
        """The guide of this process; None in a cluster that has no registry, where Ray places alone.

        `program` gives the policy of this program, over that of the cluster file.
        """
        here = ray.get_runtime_context().get_node_id()
        caller = next((member.name for member in members if member.ray_id == here), None)
        sharing = Sharing.open(caller)
        return None if sharing is None else cls(sharing, program, members)

    def close(self) -> None:
        """Tell nothing more: the process has left the fabric."""
        self._sharing.close()

    def meet(self, members: Sequence[Member]) -> None:
        """Take note of who the members are now."""
        self._names = {member.ray_id: member.name for member in members}
        self._members = {member.name: member for member in members}

    def start(self, work: Work, ready: Ready, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Submit the call to the node that is chosen for it.

        Raises:
            NoPlacement: no node can keep what the policy asks.
        """
        small = not kwargs and all(_is_small(value) for value in args)
        if ready.skip and small:
            ready.skip -= 1
            return ready.start(*args)
        began = monotonic()
        policy = self._policy(work, ready)
        works = {_variant(work): work}
        if policy.accuracy is not None:
            works.update({_variant(other): other for other in work.variants})
        inputs = self._inputs(args, kwargs)
        try:
            call, choice = self.placing.choose(tuple(works), work.request, policy, inputs, ready.refused)
        except NoPlacement as error:
            raise NoPlacement(work.request.title, error.asked, error.refusals, error.mend) from None
        self._sharing.wake()
        chosen = next(other for variant, other in works.items() if variant.function == choice.function)
        observed = chosen.observed is not None
        start = self._way(chosen, ready if chosen is work else chosen.ready, choice, observed=observed)
        if not observed:
            made = start(*args, **kwargs)
            if isinstance(made, ray.actor.ActorHandle):
                self.placing.live(_key(made), work.request.name, choice)
            return made
        ready.calls += 1
        brief = choice.compute < BRIEF and ready.calls > FIRST_CALLS
        if brief and small and not policy.asked:  # what is to be kept is looked at for each call
            ready.start = self._way(chosen, ready, choice, observed=False)
            ready.skip = STRIDE - 1
        ref, told = start(*args, **kwargs)
        key = ref.binary()
        flight = self.placing.begin(key, work.request.name, call, choice, STRIDE if brief else 1, began)
        told._on_completed(lambda value: self._ended(flight, value))
        return ref

    def get(self, ref: Any, timeout: float | None) -> Any:
        """`ray.get`, which says something of the link if the value was elsewhere."""
        key = ref.binary()
        if self.placing.known(key) is None:
            return ray.get(ref, timeout=timeout)
        began = monotonic()
        value = ray.get(ref, timeout=timeout)
        self.placing.fetched(key, began, monotonic())
        return value

    def explain(self, ref: Any) -> Explanation | None:
        """Why the task of a reference, or an actor, was placed where it was; None where that is not known (any more).

        What a call tells of itself comes beside its result and may be a moment later than that.
        """
        key = _key(ref)
        if isinstance(ref, ray.actor.ActorHandle):
            return self.placing.explain(key)
        until = monotonic() + MOMENT
        while (found := self.placing.explain(key)) is not None and found.observed is None and monotonic() < until:
            if not ray.wait([ref], timeout=0, fetch_local=False)[0]:
                break
            sleep(MOMENT / 20)
        return found

    def reasoned(self, of: Any, place: Placement) -> Placement:
        """Where an actor or a task is, with what it was chosen by for the reason, where this process chose it."""
        told = self.explain(of)
        if told is None or told.node != place.node or told.usable < 2:
            return place
        asked = "" if told.asked == "any node" else f"asked for {told.asked}; "
        return replace(place, why=f"{asked}chosen by predicted cost: {told.why}")

    def keeps(self, ref: Any, value: Any) -> None:
        """Take note that a value was put on this node."""
        self.placing.place(ref.binary(), self.placing.caller, weight(value))

    def _policy(self, work: Work, ready: Ready) -> Policy:
        """What the call keeps: the work's own policy over the program's over the cluster file's."""
        program = self._program()
        if ready.policy is None or ready.policy[1] is not program:
            policy = work.policy.over(program.over(self._sharing.policy))
            if len(work.request.tiers) > 1 and not policy.order:
                policy = replace(policy, order=work.request.tiers)
            ready.policy = policy, program
        return ready.policy[0]

    def _way(self, work: Work, ready: Ready | None, choice: Choice, *, observed: bool) -> Any:
        if ready is None:
            ways = Starters(work)
            ready = work.ready = Ready(ways.anywhere(), ways)
        # Ray falls back as soon as the node is busy. Where it is known to be busy and was chosen all the same, the
        # call is to wait for it; where it seemed idle, others use it, and the next best is as good.
        most = OTHERS if work.observed is not None else OTHERS_OF_ACTOR
        others = choice.next_best(most) if not choice.waited or len(work.request.tiers) > 1 else ()
        member = self._members[choice.node]
        return ready.ways.on(choice.node, others, member.tier, member.site, observed=observed)

    def _inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Input, ...]:
        here, beside = 0, []
        for value in (*args, *kwargs.values()):
            if isinstance(value, ray.ObjectRef):
                beside.append(self._where(value))
            else:
                size = weight(value)
                if size > INLINE_TEXT:
                    beside.append(Input(self.placing.caller, float(size)))
                else:
                    here += size
        return (Input(self.placing.caller, float(here)), *beside) if here else tuple(beside)

    def _where(self, ref: Any) -> Input:
        """Where the object of a reference is; what another process made is asked of its owner, once."""
        key = ref.binary()
        known = self.placing.known(key)
        if known is None:
            found = ray.experimental.get_object_locations([ref]).get(ref, {})
            nodes = [self._names[node] for node in found.get("node_ids", ()) if node in self._names]
            size = found.get("object_size") or 0
            self.placing.place(key, nodes[0] if nodes else self.placing.caller, size)
            known = self.placing.known(key)
        assert known is not None
        return known

    def _ended(self, flight: Flight, told: Any) -> None:
        """What Ray calls, in a thread of its own, when the observation of a call is here."""
        if isinstance(told, tuple):
            node, compute, result, first = told
            seen = Seen(self._names.get(node, ""), compute, result, first)
            self.placing.end(flight, seen)
        else:
            self.placing.end(flight, None, f"{type(told).__name__}: {told}".splitlines()[0])
        self._sharing.wake()


def can_choose(work: Work) -> bool:
    """Whether the node is the fabric's to choose: the user has not given Ray a strategy of his own."""
    if work.request.fallbacks:
        return False
    own = (work.options.get(name) for name in ("scheduling_strategy", "placement_group"))
    return all(value in (None, "default", "DEFAULT") for value in own)


def function_name(work: Work) -> str:
    """The name that a function's profile is kept under: the same in every program that imports it."""
    raw = work.raw
    module = raw.__module__
    if module == "__main__":
        module = Path(sys.modules["__main__"].__dict__.get("__file__") or "__main__").stem
    return f"{module}.{raw.__qualname__.removesuffix('.raw')}"


def _key(of: Any) -> bytes:
    """What an actor or the result of a call is known by."""
    key: bytes = of._actor_id.binary() if isinstance(of, ray.actor.ActorHandle) else of.binary()
    return key


def _is_small(value: Any) -> bool:
    return isinstance(value, SMALL) or (isinstance(value, (str, bytes)) and len(value) <= INLINE_TEXT)


def _variant(work: Work) -> Variant:
    return Variant(function_name(work), work.accuracy)
