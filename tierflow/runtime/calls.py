"""Submit work to Ray: the fabric as the SDK knows it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import ray

from tierflow.errors import FabricError, StayRefused
from tierflow.planning import Policy, eligible, no_placement
from tierflow.planning.explanation import Explanation
from tierflow.runtime.answering import own_address
from tierflow.runtime.arrow import carry_arrow
from tierflow.runtime.asking import can_choose, kept, refusals
from tierflow.runtime.feeding import awaiting
from tierflow.runtime.flows import ActorNode, TaskNode
from tierflow.runtime.guide import Guide
from tierflow.runtime.membership import MAX_AGE, Membership, Snapshot, read_members
from tierflow.runtime.reading import Reader
from tierflow.runtime.residents import island_here
from tierflow.runtime.settings import ISLAND, RIG
from tierflow.runtime.standby import stand
from tierflow.runtime.starters import made_ready, options_of
from tierflow.runtime.traffic import traffic
from tierflow.runtime.whereabouts import whereabouts
from tierflow.runtime.work import Placement, Ready, Work
from tierflow.topology import Member, Stay

__all__ = ["RayFabric", "connect"]

AGAIN = 30.0
"""Seconds after which a registry that was not there is looked for again."""
KNOCK = 10.0
"""Seconds that the head may take to accept a connection."""

_IN_AN_ISLAND = frozenset({"stay", "order", "weights"})
"""What any call keeps in an island, which is one node: there is nothing to choose, and nothing leaves."""


class RayFabric:
    """The fabric that this process is connected to; it connects at the first call.

    What Ray needs to start a work is made once and kept on the work. Each call looks only at a clock; once a second
    the request is checked against the members, so that what no node can run is refused in place of waiting for ever.
    `policy` gives what this program's calls are to keep.
    """

    def __init__(self, policy: Callable[[], Policy] = Policy) -> None:
        self._policy = policy
        self._membership = Membership(read_members)
        self._cluster = ""
        self._guide: Guide | None = None
        self._again = 0.0
        self._joining = threading.Lock()

    def start(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Submit a task or create an actor; the reference, generator of references or handle that Ray gives.

        Raises:
            NoPlacement: no node can run it.
            Cut: the nodes that could are cut off from here.
            FabricError: this process is in no fabric and finds none.
        """
        if work.stand_in:
            self._join()
            names = {member.ray_id: member.name for member in self._membership.latest().members}
            return stand(self.start, names, replace(work, stand_in=False), args, kwargs)
        ready = work.ready
        if ready is None or monotonic() >= ready.until or not ray.is_initialized():
            ready = self._prepare(work)
        carry_arrow()
        if self._guide is None or not ready.chosen:
            return ready.start(*args, **kwargs)
        return self._guide.start(work, ready, args, kwargs)

    def bind(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Add the work to a flow: a Ray DAG node, checked and started when the flow is executed."""

        def start(*args: Any, **kwargs: Any) -> Any:
            return self.start(work, args, kwargs)

        node = ActorNode if isinstance(work.body, type) else TaskNode
        return node(start, work.body, args, kwargs, options_of(work))

    def get(self, refs: Any, *, timeout: float | None = None) -> Any:
        """`ray.get`, which does not wait for what is cut off.

        Raises:
            Cut: it is on its way to, or at, a node that is.
            StayRefused: it may not leave its device or site, and this process is outside.
        """
        self._join()
        all_ = refs if isinstance(refs, list) else [refs]
        try:
            with awaiting(all_):
                if self._guide is not None and all_ and all(isinstance(ref, ray.ObjectRef) for ref in all_):
                    return self._guide.get(refs, timeout)
                return ray.get(refs, timeout=timeout)
        except (ray.exceptions.RaySystemError, ray.exceptions.RayTaskError) as error:
            from tierflow.runtime.guard import refusal_in  # here and below, because it loads pyarrow

            refused = refusal_in(error)
            if refused is None or isinstance(error, StayRefused):
                raise
            raise refused from None

    def wait(self, refs: Sequence[Any], *, num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """`ray.wait`, for which what is cut off is ready; where a result is made it is ready too, here or elsewhere."""
        self._join()
        refs = list(refs)
        with awaiting(refs):
            if self._guide is not None and refs and all(isinstance(ref, ray.ObjectRef) for ref in refs):
                return self._guide.cuts.wait(refs, num_returns, timeout)
            return ray.wait(refs, num_returns=num_returns, timeout=timeout, fetch_local=False)

    def stream(self, items: Any, ahead: float) -> Reader:
        """What reads a generator of references ahead, and does not wait for what is cut off.

        Raises:
            TypeError: it is no such generator.
        """
        if not isinstance(items, ray.ObjectRefGenerator):
            raise TypeError(f"stream() takes what .remote() of a generator gives, not {type(items).__name__}")
        self._join()
        guide, task = self._guide, items.completed()
        return Reader(items, ahead, lambda node: None if guide is None else guide.waits(task, node))

    def put(self, value: Any, stay: Stay | None = None) -> Any:
        """`ray.put`, of a value that may not leave its device or site."""
        self._join()
        carry_arrow()
        if stay is None:
            ref = ray.put(value)
        else:
            from tierflow.runtime.guard import Sealed

            ref = ray.put(Sealed(value, stay))
        if self._guide is not None:
            self._guide.keeps(ref, value, stay)
        return ref

    def describe(self, ref: Any) -> Any:
        """What is known of a value without opening it: an `exchange.Envelope`. Raises as `get` does too."""
        from tierflow.runtime.described import described

        self._join()
        names = {member.ray_id: member.name for member in self._membership.latest().members}
        if self._guide is not None and isinstance(ref, ray.ObjectRef):
            (ref,) = self._guide.cuts.made([ref])
        return described(ref, names)

    def members(self) -> tuple[Member, ...]:
        """The nodes now, with what is free on each."""
        self._join()
        return read_members(available=True)

    def placement(self, of: Any) -> Placement:
        """Where an actor or the task of a reference runs or ran."""
        self._join()
        of = self._latest(of)
        place = whereabouts(of, self._membership.fresh().members)
        return place if self._guide is None else self._guide.reasoned(of, place)

    def explain(self, of: Any) -> Explanation:
        """Why an actor or the task of a reference was placed where it was, and how that went.

        Raises:
            TypeError: `of` is neither.
            FabricError: it was not made by this process, or too long ago.
        """
        if not isinstance(of, (ray.ObjectRef, ray.actor.ActorHandle)):
            raise TypeError(f"explain() takes an object reference or an actor handle, not {type(of).__name__}")
        self._join()
        found = None if self._guide is None else self._guide.explain(self._latest(of)) or self._guide.explain(of)
        if found is None:
            raise FabricError(
                f"nothing is known of how {of} was placed",
                "ask in the process that made the call, or see `tierflow explain --last 20`; of very brief calls only "
                "some are looked at, and none in a cluster that `tierflow up` did not start",
            )
        return found

    def traffic(self) -> Mapping[str, int]:
        """Bytes that crossed each link of the rig, where there is one."""
        return traffic()

    def _latest(self, of: Any) -> Any:
        """The reference to a call that was made again elsewhere in place of this one's; the same where none was."""
        return of if self._guide is None else self._guide.tries.latest(of)

    def _prepare(self, work: Work) -> Ready:
        self._join()
        snapshot = self._membership.latest()
        self._can_keep(work)
        ready = made_ready(work)
        ready.chosen = self._guide is not None and can_choose(work)
        if ready.version != snapshot.version:
            snapshot = self._checked(work, snapshot)
            ready.skip, ready.rivals = 0, work.variants
            ready.refused = refusals(work, snapshot.members, self._guide.nodes if self._guide else ())
            if self._guide is not None:
                self._guide.meet(snapshot.members)
        ready.version, ready.until = snapshot.version, max(snapshot.until, monotonic() + MAX_AGE / 4)
        return ready

    def _can_keep(self, work: Work) -> None:
        """Where nobody predicts, a policy would be passed over in silence, `stay` too: that is an error."""
        if self._guide is None:
            asks = work.policy.over(self._policy()).asks
            if asks and (ISLAND in os.environ or island_here() == ray.get_runtime_context().gcs_address):
                asks -= _IN_AN_ISLAND
            if asks:
                raise FabricError(
                    f"{work.request.title} has a policy ({', '.join(sorted(asks))}), and this cluster has no registry "
                    "that could predict what a call costs",
                    "start the fabric with `tierflow up FILE`, or say where it runs with tier=, site= or node=",
                )
        elif not can_choose(work) and (asked := kept(work, self._policy(), self._guide.policy).asked):
            raise FabricError(
                f"{work.request.title} has a strategy of Ray's own, and its program or fabric asks for {asked}",
                "take the strategy away, or say where it runs with tier=, site= or node=",
            )

    def _checked(self, work: Work, snapshot: Snapshot) -> Snapshot:
        if not eligible(work.request, snapshot.members).nodes:
            snapshot = self._membership.fresh()
            if not eligible(work.request, snapshot.members).nodes:
                raise no_placement(work.request, snapshot.members)
        return snapshot

    def _join(self) -> None:
        if not ray.is_initialized():
            connect()
        cluster = ray.get_runtime_context().gcs_address
        if cluster == self._cluster and (self._guide is not None or monotonic() < self._again):
            return
        with self._joining:
            if cluster != self._cluster:
                self._membership.forget()
                if self._guide is not None:
                    self._guide.close()
                self._guide = None
            if self._guide is None:
                self._guide = Guide.open(self._policy, self._membership.latest().members)
                self._again = monotonic() + AGAIN
            self._cluster = cluster


def connect(address: str | None = None, **options: Any) -> None:
    """Connect this process to a running fabric; to the one of RAY_ADDRESS or of this machine if none is named.

    Raises:
        FabricError: there is none, or it does not let this process in.
    """
    address = address or island_here() or os.environ.get("RAY_ADDRESS") or "auto"
    try:
        own = _knock(address)
        if RIG in os.environ:
            # Ray looks through the machine's processes for the raylet to use, and on the rig sees those of all hosts.
            options.setdefault("_node_ip_address", own)
        ray.init(address=address, **options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = "on this machine" if address == "auto" else f"at {address}"
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FabricError(
            f"no fabric can be joined {where} ({first})",
            "start one with `tierflow up FILE`, run the program with `tierflow submit`, name one with "
            "tierflow.init(address), or try it in this process with tierflow.testing.fabric()",
        ) from error


def _knock(address: str) -> str | None:
    """Find out in seconds that nobody is there; Ray tries for minutes. This host's address on the way there.

    Raises `OSError`.
    """
    _, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or "://" in address:
        return None
    return own_address(address, KNOCK)
