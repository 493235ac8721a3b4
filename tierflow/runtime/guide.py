"""Submit calls to the nodes that are chosen for them, and hear how they went: where Ray and `Placing` meet."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

import ray

from tierflow.cost import RAW, Codec
from tierflow.cost.call import Input
from tierflow.cost.curve import size_class
from tierflow.cost.transfer import INLINE
from tierflow.errors import FabricError
from tierflow.planning import Policy
from tierflow.planning.choose import Choice
from tierflow.planning.explanation import Explanation
from tierflow.runtime import taint
from tierflow.runtime.asking import (
    INLINE_TEXT,
    error_words,
    function_name,
    inputs,
    kept,
    next_best,
    refusals,
)
from tierflow.runtime.copies import Copies, copies
from tierflow.runtime.cuts import Cuts
from tierflow.runtime.flight import Flight, Seen
from tierflow.runtime.packing import Packages, ratios, wrapped
from tierflow.runtime.sharing import Sharing
from tierflow.runtime.starters import made_ready
from tierflow.runtime.tries import OVERDUE, Tries
from tierflow.runtime.weight import weight
from tierflow.runtime.work import Placement, Ready, Work
from tierflow.topology import Member, Stay, strictest

__all__ = ["Guide"]

BRIEF = 0.005
"""Seconds of work below which not every call is chosen for and observed: both would cost a share of the call."""
FIRST_CALLS = 16
"""Calls of a function that are all observed, however brief."""
STRIDES = 8, 64
"""Of brief calls, one in so many is chosen for and observed, and stands for all of them: fewer when they come fast."""
FAST = 0.02
"""Seconds between two choices below which the next is for more calls."""
LULL = 0.1
"""Seconds without a call that nobody watched after which a call has the node to itself, as far as is known here."""
MOMENT = 2.0
"""Seconds by which what is told of a call may be later than its result: of a weak device's core there is .2 s in 1."""
PAUSE = 0.005
"""Seconds between two looks at whether it is here."""
OWNER_WITHIN = 2000
"""Milliseconds that the owner of an object has to say where it is."""
SMALL = (int, float, bool, type(None))


class Guide:
    """The chosen placement of this process's calls."""

    def __init__(self, sharing: Sharing, program: Callable[[], Policy], members: Sequence[Member]) -> None:
        self.placing, self._sharing, self._program = sharing.placing, sharing, program
        self._names: dict[str, str] = {}
        self._members: dict[str, Member] = {}
        self._skipped, self._labels = 0.0, False
        self._packages = Packages()
        self.tries = Tries(self.placing)
        self.cuts = Cuts(self.placing, self.tries, self._packages, lambda: tuple(self._members.values()))
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

    @property
    def policy(self) -> Policy:
        """The policy of the cluster file."""
        return self._sharing.policy

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
            Cut: the nodes that could run it are cut off from here.
            NoPlacement: no node can keep what the policy asks.
        """
        reach, alike = self.cuts.look(), None if kwargs or taint.now() is not None else self._alike(args)
        if ready.skip > 0 and alike is not None and self._goes_on(ready, alike, reach):
            ready.skip -= 1
            self._skipped = monotonic()
            ref = ready.start(*args)[0]
            self.placing.follow(ref.binary(), ready.made)
            # Nobody will say when it ends, so what it refers to must not be kept for another try.
            self._submitted(ref, ready.node, work, ready, args, kwargs, retried=not alike, patience=OVERDUE)
            return ref
        began = monotonic()
        policy = self._policy(work, ready)
        values = (*args, *kwargs.values())
        given = self._inputs(work, policy, values)
        if policy.accuracy is not None and ready.rivals is not work.variants:
            ready.refused, ready.rivals = refusals(work, tuple(self._members.values()), self.nodes), work.variants
        awaits = any(isinstance(value, ray.ObjectRef) and self.placing.awaits(value.binary()) for value in values)
        tells = not awaits and began - self._skipped > LULL
        doer, call, choice = self.cuts.chosen(work, policy, given, ready.refused)
        self._sharing.wake()
        start = self._way(doer, choice)
        if doer.observed is None:
            made = start(*args, **kwargs)
            self._unobserved(made, work, policy, choice)
            return made
        ready.calls += 1
        brief = _is_brief(choice, ready)
        # What is to be kept is looked at for each call, and one call is enough to look at another node.
        if brief and alike is not None and not policy.asked and not choice.explores:
            ready.start = start  # the same function: Ray's GCS hands out each, and may be cut off before the second
            stride = ready.stride * 2 if began - ready.last < FAST else ready.stride // 2
            ready.stride, ready.last = min(max(stride, STRIDES[0]), STRIDES[1]), began
            ready.skip, ready.node, ready.reach, ready.alike = ready.stride - 1, choice.node, reach, alike
        ref, told = self._started(start, doer, choice, args, kwargs)
        stands_for = ready.skip + 1 if brief else 1
        name, stay = work.request.name, self._label(doer, given)
        flight = self.placing.begin(ref.binary(), name, call, choice, stands_for, began, tells=tells, stay=stay)
        ready.made = self.placing.known(flight.key)
        self._submitted(ref, choice.node, work, ready, args, kwargs, patience=math.inf if awaits else None)
        told._on_completed(lambda value: self._ended(flight, value))
        return ref

    def _unobserved(self, made: Any, work: Work, policy: Policy, choice: Choice) -> None:
        """Take note of where an actor, or a task that yields or has several results, went."""
        if isinstance(made, ray.actor.ActorHandle):
            self.placing.live(_key(made), work.request.name, choice)
        elif policy.on_cut != "queue":
            refs = [made.completed()] if isinstance(made, ray.ObjectRefGenerator) else made
            for ref in refs if isinstance(refs, list) else ():
                self.tries.submitted(ref, choice.node, work.request.title, None)

    def _started(self, start: Any, work: Work, choice: Choice, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Submit it, with what has to come from another node packed if that was chosen too."""
        if choice.codec == RAW.name:
            return start(*args, **kwargs)
        sent = [self._sent(value, work, choice) for value in (*args, *kwargs.values())]
        return start(*sent[: len(args)], **dict(zip(kwargs, sent[len(args) :], strict=True)))

    def _sent(self, value: Any, work: Work, choice: Choice) -> Any:
        stored = isinstance(value, ray.ObjectRef)
        place = self.placing.known(value.binary()) if stored else None
        at = place.at if place else self.placing.caller
        packs = place.packs if place else () if stored else _packs(value, work, choice.ranking.policy)
        if at == choice.node or not any(codec.name == choice.codec for codec in packs):
            return value
        if stored and place is not None:
            return self._packages.of(value, place.size, choice.packing, at)
        return wrapped(value, choice.codec)

    def _submitted(
        self,
        ref: Any,
        node: str,
        work: Work,
        ready: Ready,
        args: Any,
        kwargs: Any,
        *,
        patience: float | None,
        retried: bool = True,
    ) -> None:
        """Take note of a task; it may be submitted again if its node is cut off, unless its `max_retries` are 0."""
        if isinstance(ref, ray.ObjectRef):
            policy = self._policy(work, ready)
            again = retried and work.options.get("max_retries") != 0 and policy.on_cut in (None, "local")
            if policy.on_cut != "queue":
                start = functools.partial(self.start, work, ready, args, kwargs) if again else None
                self.tries.submitted(ref, node, work.request.title, start, patience)

    def get(self, refs: Any, timeout: float | None) -> Any:
        """`ray.get`, but not of what is cut off; it says something of the link if the value was elsewhere.

        Raises:
            Cut: a call is on its way to a node that is cut off.
        """
        if not isinstance(refs, ray.ObjectRef):
            return self.cuts.get(refs, timeout)
        key = refs.binary()
        place = self.placing.known(key)
        if place is not None and place.size > INLINE and place.at != self.placing.caller and copies(refs).here:
            self.placing.looked(key)  # a fetch of nothing says nothing of the way
        began = monotonic()
        value = self.cuts.get(refs, timeout)
        if place is not None:
            self.placing.fetched(key, began, monotonic())
        return value

    def waits(self, task: Any, node: str) -> None:
        """Take note that somebody waits for what a task yields; `node`, by Ray's id, made what it yielded last.

        Raises:
            Cut: it is on a node that is cut off from here.
        """
        self.cuts.waits(task, self._names.get(node))

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
            sleep(PAUSE)
        return found

    def reasoned(self, of: Any, place: Placement) -> Placement:
        """Where an actor or a task is, with what it was chosen by for the reason, where this process chose it."""
        told = self.placing.explain(_key(of))
        if told is None or told.node != place.node or told.usable < 2:
            return place
        asked = "" if told.asked == "any node" else f"asked for {told.asked}; "
        return replace(place, why=f"{asked}chosen by predicted cost: {told.why}")

    def keeps(self, ref: Any, value: Any, stay: Stay | None) -> None:
        """Take note that a value was put on this node, and of what it may not leave."""
        held = taint.now()
        stay = strictest((stay, held.stay if held else None))
        self._labels = self._labels or stay is not None
        loss = self._program().over(self._sharing.policy).lossy
        packs = () if stay else ratios(value, "put", loss)
        self.placing.place(ref.binary(), self.placing.caller, weight(value), packs, stay)

    @property
    def nodes(self) -> Iterable[str]:
        """The names of the nodes that the fabric knows, joined or not."""
        return self.placing.conditions.fixed.nodes

    def _alike(self, args: Iterable[Any]) -> tuple[Any, ...] | None:
        """What calls with these arguments have in common, for where they are placed; None where each is looked at."""
        found: list[Any] = []
        for value in args:
            if isinstance(value, ray.ObjectRef):
                place = self.placing.known(value.binary())
                if place is None or place.size > INLINE:  # each transfer is looked at: a link may have changed
                    return None
                found.append((place.at, size_class(place.size), place.stored, place.stay))
            elif not _is_small(value):
                return None
        return tuple(found)

    def _goes_on(self, ready: Ready, alike: tuple[Any, ...], reach: Any) -> bool:
        """Whether a call may go where the last one that was chosen for went."""
        same = ready.policy is not None and ready.policy[1] is self._program()
        return same and ready.alike == alike and ready.reach is reach

    def _inputs(self, work: Work, policy: Policy, values: Sequence[Any]) -> tuple[Input, ...]:
        """The inputs of a call, with what they may not leave; one that keeps them waits until they are made."""
        if policy.stay is not None:
            self._await(work, [value for value in values if isinstance(value, ray.ObjectRef)])
        held = taint.now()
        own = None if held is None else held.stay
        return inputs(values, self.placing.caller, self._where, lambda value: _packs(value, work, policy), own)

    def _label(self, work: Work, given: Iterable[Input]) -> Stay | None:
        """What the result of a work may not leave, as far as is known before it is made."""
        if work.policy.stay is None and all(item.stay is None for item in given):
            return None
        self._labels = True
        return None if work.releases else strictest((work.policy.stay, *(item.stay for item in given)))

    def _policy(self, work: Work, ready: Ready) -> Policy:
        """What the call keeps: the work's own policy over the program's over the cluster file's."""
        program = self._program()
        if ready.policy is None or ready.policy[1] is not program:
            ready.policy = kept(work, program, self._sharing.policy), program
        return ready.policy[0]

    def _way(self, work: Work, choice: Choice) -> Any:
        others = next_best(choice, work, self.placing)  # Ray falls back as soon as the node is busy
        member = self._members[choice.node]
        return made_ready(work).ways.on(choice.node, others, member.tier, member.site)

    def _where(self, value: Any) -> Input | None:
        """Where the object of a reference is; None of what is none."""
        return self._place(value) if isinstance(value, ray.ObjectRef) else None

    def _place(self, ref: Any) -> Input:
        """Where the object of a reference is; what another process made is asked of its owner, once."""
        key = ref.binary()
        known = self.placing.known(key)
        if known is None:
            known, sure = self._located(ref)
            if sure:
                self.placing.place(key, known.at, known.size, stay=known.stay)
        return known

    def _located(self, ref: Any) -> tuple[Input, bool]:
        """Where Ray says that an object is (here, and of no size, where it does not know), and whether that is sure."""
        try:
            found = copies(ref, OWNER_WITHIN)
        except ray.exceptions.RayError:
            found = Copies(0, ())
        names = [self._names.get(node, "") for node in found.nodes]
        nodes = [name for name in names if name in self.placing.conditions.fixed.nodes]
        size = float(found.size)
        at = nodes[0] if nodes else self.placing.caller
        if self._labels and size:
            return self._labelled(ref, at, size)
        return Input(at, size, stored=bool(nodes)), bool(size)

    def _labelled(self, ref: Any, at: str, size: float) -> tuple[Input, bool]:
        """Where an object is, with its label, and whether that could be seen; for those who met a label before."""
        from tierflow.runtime.described import SOON, described

        here = Input(at, size, stored=at != self.placing.caller)
        try:
            seen = described(ref, self._names, SOON)
        except FabricError:
            return here, False
        return (here if seen.stay is None else Input(seen.node, size, seen.stay, stored=True)), True

    def _await(self, work: Work, refs: Sequence[Any]) -> None:
        """Wait until inputs that may not leave where they are have come into being: only then that is known.

        Raises:
            FabricError: where one is cannot be found out.
        """
        pending = [ref for ref in refs if self.placing.awaits(ref.binary()) or self.placing.known(ref.binary()) is None]
        if not pending:
            return
        ray.wait(pending, num_returns=len(pending), fetch_local=False)
        until = monotonic() + MOMENT
        while any(self.placing.awaits(ref.binary()) for ref in pending) and monotonic() < until:
            sleep(PAUSE)
        for ref in pending:
            if not self._place(ref).size:
                raise FabricError(
                    f"{work.request.title} keeps its inputs where they are, and where one of them is is not known",
                    "pass what a task or an actor of this program returned, or what tierflow.put gave",
                )

    def _ended(self, flight: Flight, told: Any) -> None:
        """What Ray calls, in a thread of its own, when the observation of a call is here."""
        if isinstance(told, tuple):
            node, *facts = told
            seen = Seen(self._names.get(node, ""), *facts)
            self.placing.end(flight, seen)
        else:
            self.placing.end(flight, None, error_words(told))
        self.tries.ended(flight.key)
        self._sharing.wake()


def _key(of: Any) -> bytes:
    """What an actor or the result of a call is known by."""
    key: bytes = of._actor_id.binary() if isinstance(of, ray.actor.ActorHandle) else of.binary()
    return key


def _is_brief(choice: Choice, ready: Ready) -> bool:
    """Whether one call may stand for several. Each large result is looked at: what it is like decides how it comes."""
    small = ready.made is None or ready.made.size <= INLINE
    return choice.compute < BRIEF and ready.calls > FIRST_CALLS and small


def _packs(value: Any, work: Work, policy: Policy) -> tuple[Codec, ...]:
    """What makes an argument of a work smaller; it is taken to be like the last one of its type and size."""
    if taint.now() is not None:  # it goes sealed
        return ()
    return ratios(value, function_name(work), policy.lossy)


def _is_small(value: Any) -> bool:
    return isinstance(value, SMALL) or (isinstance(value, (str, bytes)) and len(value) <= INLINE_TEXT)
