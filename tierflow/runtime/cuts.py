"""What becomes of calls to nodes that are cut off: they run elsewhere, wait, or end in `Cut`; none of them hangs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import ray

from tierflow.cost import RAW
from tierflow.cost.call import Call, Input
from tierflow.cost.transfer import INLINE
from tierflow.errors import Cut, NoPlacement, NotStandingIn, TierflowError
from tierflow.planning import Policy
from tierflow.planning.choose import Choice
from tierflow.runtime.asking import Refused, chosen, refusals
from tierflow.runtime.copies import copies
from tierflow.runtime.packing import ENOUGH, Packages, unpacking
from tierflow.runtime.placing import Placing
from tierflow.runtime.record import node_folder
from tierflow.runtime.settings import FABRIC
from tierflow.runtime.standby import LOST, got, other_try
from tierflow.runtime.tries import Sent, Tries
from tierflow.runtime.view import Reach, ViewFile, view_file
from tierflow.runtime.whereabouts import ActorNodes
from tierflow.runtime.work import Work
from tierflow.topology import Member

__all__ = ["Cuts"]

TOLD = 0.1
"""Seconds that a large result waits for what is told of its call."""
LOOK = 0.1
"""Seconds between two looks at who is cut off, of a call that waits."""
FETCH = 0.25
"""Seconds after which a result that is there, of nobody knows what size, is fetched beside the look-out for a cut."""
MOST = 64
"""Nodes of which it is asked whether they are cut off, of those that could run a call."""
NO_ACTOR = b"\xff" * 12
"""How the id of an actor begins that stands for none; the rest of it is the job's."""
WAIT = "wait until the link is back, say on_cut='queue' to let calls wait, or on_cut='local' to run them elsewhere"
ACTOR = "the actor lives there and goes on: call again when the link is back; or talk to one on this side"


class Cuts:
    """The cuts as they are seen by a process of the node `placing.caller`, among these members."""

    def __init__(
        self, placing: Placing, tries: Tries, packages: Packages, members: Callable[[], Sequence[Member]]
    ) -> None:
        self._placing, self._tries, self._packages, self._members = placing, tries, packages, members
        state = os.environ.get(FABRIC)
        self._view = ViewFile(view_file(node_folder(Path(state), placing.caller))) if state else None
        self.reach = Reach()
        self._since = 0.0
        self._actors = ActorNodes(members)

    def look(self) -> Reach:
        """Who is cut off now; the placement of calls follows it."""
        found = self.reach if self._view is None else self._view.latest()
        if found is not self.reach:
            self.reach, self._since = found, time.monotonic()
            self._placing.reach(found.cut)
        return found

    def chosen(
        self, work: Work, policy: Policy, given: tuple[Input, ...], refused: Refused
    ) -> tuple[Work, Call, Choice]:
        """As `asking.chosen`; where only nodes that are cut off would do, what the policy says of that.

        Raises:
            Cut: they are, and the call is neither to wait for them nor can run elsewhere.
            NoPlacement: no node could, cut off or not.
        """
        while True:
            try:
                return chosen(self._placing, work, policy, given, refused)
            except NoPlacement:
                cut = self._cut(work, policy, given, refused)
                if cut is None:
                    raise
            if policy.on_cut == "local":
                free = replace(work, request=replace(work.request, tiers=(), site=None, node=None))
                try:
                    found = refusals(free, self._members(), self._placing.conditions.fixed.nodes)
                    return chosen(self._placing, work, replace(policy, order=()), given, found)
                except NoPlacement:
                    raise cut from None
            if policy.on_cut != "queue":
                raise cut from None
            self._queue(cut, policy.deadline)

    def waits(self, task: Any, node: str | None) -> None:
        """See that a stream is not waited for in vain: by where it came from lately, or where its task went.

        Raises:
            Cut: that is a node that is cut off.
        """
        sent = self._tries.sent(task)
        if not self.look().cut:
            return
        if node is None:
            self._check([task])
        elif sent is not None or _actor_of(task) is not None:
            self._raise([node], "a stream", WAIT)

    def wait(self, refs: Sequence[Any], count: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """Up to `count` references that are ready, and the others, once so many are or `timeout` seconds went by.

        Ready is what is made, here or elsewhere, and what `get` would find to be cut off. Raises as `ray.wait` does.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            now = [self._tries.latest(ref) for ref in refs]
            found, left = ray.wait(now, num_returns=count, timeout=_rest(until, LOOK), fetch_local=False)
            for ref in left if self.look().cut else ():
                if len(found) < count and self._is_cut(ref):
                    found.append(ref)
            if len(found) >= count or (until is not None and time.monotonic() >= until):
                ready = set(found[:count])
                split = [(ref, latest in ready) for ref, latest in zip(refs, now, strict=True)]
                return [ref for ref, is_ready in split if is_ready], [ref for ref, is_ready in split if not is_ready]

    def made(self, refs: Sequence[Any], until: float | None = None) -> list[Any]:
        """The references that count of calls, once their results are made, until a time at the most.

        Raises:
            Cut: one is on its way to a node that is cut off, and cannot run elsewhere.
            ray.exceptions.GetTimeoutError: the time was not enough.
        """
        while True:
            now = [self._tries.latest(ref) for ref in refs]
            waiting = list(dict.fromkeys(now))
            _, left = ray.wait(waiting, num_returns=len(waiting), timeout=_rest(until, LOOK), fetch_local=False)
            if not left:
                return now
            self._check(left)
            if until is not None and time.monotonic() >= until:
                raise ray.exceptions.GetTimeoutError(f"{len(left)} of {len(waiting)} results were not ready in time")

    def get(self, refs: Any, timeout: float | None) -> Any:
        """`ray.get` of one reference or of several, which does not wait for what is cut off.

        Raises:
            Cut: a call is on its way to a node that is cut off, and cannot run elsewhere.
        """
        several = isinstance(refs, (list, tuple))
        given = list(refs) if several else [refs]
        until, idle = None if timeout is None else time.monotonic() + timeout, False
        while True:
            now = self.made(given, until)
            waiting = list(dict.fromkeys(now))
            try:
                value = self._taken(now if several else now[0], waiting, until)
                got(waiting)
                return value
            except (*LOST, NotStandingIn) as error:
                self._try_otherwise(given)
                if [self._tries.latest(ref) for ref in given] == now:
                    raise
                if isinstance(error, NotStandingIn):
                    if idle:  # the actor was not there when it was called for that: it is just being started
                        time.sleep(_rest(until, LOOK))
                    idle = True

    def _taken(self, refs: Any, all_: Sequence[Any], until: float | None) -> Any:
        """The values, which are made, and may still have to be sent here; packed, where that is sooner."""
        told = time.monotonic() + _rest(until, TOLD)
        sent = [self._sent(ref, told) for ref in refs] if isinstance(refs, list) else self._sent(refs, told)
        if sent != refs:
            with suppress(ray.exceptions.RayError, _NotPacked):  # they may still be there as they are
                return self._waited(sent, all_, until, packs=True)
            self._packages.forget()
        return self._waited(refs, all_, until)

    def _waited(self, refs: Any, all_: Sequence[Any], until: float | None, *, packs: bool = False) -> Any:
        """What `ray.get` gives, but not of what is cut off.

        Raises:
            Cut: one of them is.
            _NotPacked: somebody else is cut off, perhaps the head, which has to hand out what packs (`packs`).
        """
        known = [self._placing.known(ref.binary()) for ref in all_]
        here = self._placing.caller
        try:
            # Ray begins a transfer anew when whoever waited for it gives up: what is large is waited for beside.
            if not any(place is not None and place.size > INLINE and place.at != here for place in known):
                return ray.get(refs, timeout=_rest(until, FETCH if None in known else None))
        except ray.exceptions.GetTimeoutError:
            if until is not None and time.monotonic() >= until:
                raise
        except ray.exceptions.ActorUnavailableError:
            self.look()
            self._check(all_)
            raise
        found: list[Any] = []

        def fetch() -> None:
            try:
                if packs and len(all_) == 1:
                    found.append((self._timed(refs, all_[0], until), None))
                else:
                    found.append((ray.get(refs, timeout=_rest(until, None)), None))
            except BaseException as error:  # it is raised where it is waited for
                found.append((None, error))

        thread = threading.Thread(target=fetch, name="tierflow-fetch", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(LOOK)
            if thread.is_alive() and self.look().cut:
                self._raise([place.at for place in known if place is not None], "the result", WAIT)
                if packs:
                    raise _NotPacked
        value, error = found[0]
        if error is not None:
            raise error
        return value

    def _timed(self, sent: Any, ref: Any, until: float | None) -> Any:
        """A value from its packed form, fetched once that is made: so the time of the fetch tells of the link."""
        known = self._placing.known(ref.binary())
        one = sent[0] if isinstance(sent, list) else sent
        ray.wait([one], timeout=_rest(until, None), fetch_local=False)
        package = copies(one)
        before, began = unpacking(), time.monotonic()
        value = ray.get(sent, timeout=_rest(until, None))
        ended, spent = time.monotonic(), unpacking() - before
        if known is not None and package.size > INLINE and not package.here:
            self._placing.crossed(known.at, package.size, ended - began - spent, ended)
        return value

    def _sent(self, ref: Any, until: float) -> Any:
        """The reference to fetch in place of this one: to the value packed, where its way here is slow.

        What is told of a call may be a moment later than its result; it is waited for until a time.
        """
        key = ref.binary()
        known = self._placing.known(key)
        while known is not None and known.size >= ENOUGH and self._placing.awaits(key) and time.monotonic() < until:
            time.sleep(TOLD / 100)
        codec = self._placing.packing(key)
        known = self._placing.known(key)
        if codec is RAW or known is None:
            return ref
        self._placing.looked(key)  # what that takes says nothing of how long it would have taken unpacked
        return self._packages.of(ref, known.size, codec, known.at)

    def _try_otherwise(self, refs: Sequence[Any]) -> None:
        """Make calls of actors that are gone again, through a stand-in."""
        for ref in dict.fromkeys(refs):
            other = other_try(self._tries.latest(ref))
            if other is not None:
                self._tries.replaced(ref, other)

    def _check(self, refs: Sequence[Any]) -> None:
        """Submit again what can run elsewhere, of calls that are on their way to nodes that are cut off."""
        cut = self.look().cut
        if not cut:
            return
        headless = self._head() in cut
        for ref in refs:
            actor = _actor_of(ref)
            if actor is not None:
                self._raise([self._actor_node(actor)], "a call of an actor", ACTOR)
                continue
            sent = self._tries.sent(ref) or Sent()
            node = self._placing.node_of(ref.binary()) or sent.node
            if node in cut and sent.again is None:
                self._raise([node], sent.name, WAIT)
            elif node in cut:
                self._tries.again(ref)
            elif headless and self._tries.hangs(ref, self._since):  # its worker is new and waits for its code, say
                self._tries.hurry(ref)

    def _is_cut(self, ref: Any) -> bool:
        try:
            self._check([ref])
        except TierflowError:
            return True
        return False

    def _head(self) -> str | None:
        """The node of Ray's GCS, which hands out code."""
        host = ray.get_runtime_context().gcs_address.rpartition(":")[0]
        return next((member.name for member in self._members() if member.address == host), None)

    def _raise(self, nodes: Sequence[str | None], name: str, mend: str) -> None:
        cut = self.reach.cut
        names = tuple(dict.fromkeys(node for node in nodes if node is not None and node in cut))
        if names:
            since = min(cut[node] for node in names)
            raise Cut(name, names, since, max(time.time() - since, 0.0), mend)

    def _cut(self, work: Work, policy: Policy, given: tuple[Input, ...], refused: Refused) -> Cut | None:
        """The error of a call that some node could run if none were cut off; None if none could."""
        if not self.look().cut:
            return None
        try:
            _, _, choice = chosen(self._placing, work, policy, given, refused, whole=True)
        except NoPlacement:
            return None
        nodes = (choice.node, *choice.next_best(MOST), *(item.at for item in given))
        try:
            self._raise(nodes, work.request.title, WAIT)
        except Cut as cut:
            return cut
        return None

    def _queue(self, cut: Cut, deadline: float | None) -> None:
        """Wait until others are cut off than now, `deadline` seconds at the most."""
        before, until = self.reach, None if deadline is None else time.monotonic() + deadline
        while self.look() is before:
            if until is not None and time.monotonic() >= until:
                raise cut
            time.sleep(LOOK / 2)

    def _actor_node(self, actor: bytes) -> str | None:
        return self._actors.node(actor) or self._placing.node_of(actor)


class _NotPacked(Exception):
    """What is waited for is not going to be packed soon."""


def _actor_of(ref: Any) -> bytes | None:
    """The id of the actor whose call made a reference; None where a task did."""
    actor: bytes = ref.task_id().actor_id().binary()
    return None if actor.startswith(NO_ACTOR) else actor


@overload
def _rest(until: float | None, most: float) -> float: ...
@overload
def _rest(until: float | None, most: None) -> float | None: ...
def _rest(until: float | None, most: float | None) -> float | None:
    """Seconds until a time, `most` at the most; None for ever."""
    if until is None:
        return most
    left = max(until - time.monotonic(), 0.0)
    return left if most is None else min(left, most)
