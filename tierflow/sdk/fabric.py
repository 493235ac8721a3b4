"""The fabric that calls go to: the Ray cluster this process is in, or the one in this process that a test opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, get_args, overload

from tierflow.errors import OptionError
from tierflow.planning import Policy
from tierflow.runtime.work import POLICY, Placement, Work
from tierflow.topology import Member, Stay

if TYPE_CHECKING:
    from tierflow.planning.explanation import Explanation
    from tierflow.runtime.handles import ActorHandle, ObjectRef
    from tierflow.topology import Envelope

__all__ = [
    "Fabric",
    "current",
    "describe",
    "enter",
    "explain",
    "get",
    "init",
    "leave",
    "nodes",
    "placement",
    "program_policy",
    "put",
    "traffic",
    "wait",
]

T = TypeVar("T")


class Reader(Protocol):
    """What reads the values of a stream; `runtime.reading.Reader` is one."""

    def next(self, timeout: float | None) -> Any:
        """The next value, waited for so many seconds at the most; raises `StopIteration` at the end."""

    def close(self) -> None:
        """Read no more, and stop what makes the values."""


class Fabric(Protocol):
    """What the SDK asks of a fabric; `runtime.calls.RayFabric` is one, `testing.fabric` opens the other."""

    def start(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Submit a task or create an actor."""

    def bind(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Add the work to a flow."""

    def get(self, refs: Any, *, timeout: float | None) -> Any:
        """The value of a reference, or the values of several."""

    def wait(self, refs: Sequence[Any], *, num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """The references that are ready, and the others."""

    def stream(self, items: Any, ahead: float) -> Reader:
        """What reads the values of a generator's references, up to `ahead` bytes before they are asked for."""

    def put(self, value: Any, stay: Stay | None = None) -> Any:
        """A reference to a value, which may not leave its device or site."""

    def describe(self, ref: Any) -> Envelope:
        """What is known of a value without opening it."""

    def members(self) -> tuple[Member, ...]:
        """The nodes now."""

    def placement(self, of: Any) -> Placement:
        """Where an actor or a task runs or ran."""

    def explain(self, of: Any) -> Explanation:
        """Why a call was placed where it was."""

    def traffic(self) -> Mapping[str, int]:
        """Bytes that crossed each link, by its name."""


_open: list[tuple[Fabric, Policy]] = []
"""The fabrics that were entered, and the program's policy before each."""
_ray: list[Fabric] = []
_policy = POLICY


def current() -> Fabric:
    """The fabric that calls go to now."""
    if _open:
        return _open[-1][0]
    if not _ray:
        from tierflow.runtime.calls import RayFabric

        _ray.append(RayFabric(program_policy))
    return _ray[0]


def enter(fabric: Fabric) -> None:
    """Let calls go to this fabric until it is left."""
    _open.append((fabric, _policy))


def leave(fabric: Fabric) -> None:
    """Let calls go where they went before, by the policy that the program had before."""
    global _policy
    at = next(at for at, (entered, _) in enumerate(_open) if entered is fabric)
    _policy = _open.pop(at)[1]


def program_policy() -> Policy:
    """What `init` said this program's calls are to keep, over the policy of the cluster file; nothing otherwise."""
    return _policy


def init(address: str | None = None, *, policy: Mapping[str, Any] | None = None, **options: Any) -> None:
    """Join a running fabric: at `address`, or the one of RAY_ADDRESS, or the one of this machine.

    Calls do this by themselves; it is for naming an address, and for Ray's own options (`namespace`, `runtime_env`,
    `log_to_driver`...). It never starts a cluster. In an open `tierflow.testing.fabric` there is nothing to join.

    `policy` is what the calls of this process keep where neither the call nor its function says it: the options of a
    policy by name (see `task`), over those of the cluster file. None leaves it as it is, ``{}`` takes it back. A `stay`
    in it keeps inputs where they are, and labels nothing: only that of a function, a call or `put` does.

    Raises:
        FabricError: there is no fabric to join, or it does not let this process in.
        OptionError: a policy with an option that does not exist, or a value it can't have.
    """
    global _policy
    chosen = _policy if policy is None else Policy.of(**policy)
    if not _open:
        from tierflow.runtime.calls import connect

        connect(address, **options)
    _policy = chosen


@overload
def get(refs: ObjectRef[T], *, timeout: float | None = None) -> T: ...
@overload
def get(refs: Sequence[ObjectRef[T]], *, timeout: float | None = None) -> list[T]: ...
def get(refs: Any, *, timeout: float | None = None) -> Any:
    """The value of a reference, or the values of several; waits for at most `timeout` seconds (None: for ever).

    Raises:
        ray.exceptions.RayTaskError: the task failed; it is also an error of the type that the task raised.
        ray.exceptions.GetTimeoutError: the time was not enough.
        Cut: it is on its way to, or at, a node that is cut off from here. A task that names no such node is submitted
            again elsewhere instead, unless its `max_retries` are 0. So is one, while the head is cut off from here,
            that takes 3 s more than ten times what was predicted.
        StayRefused: it may not leave its device or site, and this process is outside.
    """
    return current().get(refs, timeout=timeout)


def wait(
    refs: Sequence[ObjectRef[T]], *, num_returns: int = 1, timeout: float | None = None
) -> tuple[list[ObjectRef[T]], list[ObjectRef[T]]]:
    """The references that are ready and those that are not, once `num_returns` are or `timeout` seconds went by.

    On a fabric of nodes a result that is made is ready wherever it is: `get` has it sent in the way that is soonest. So
    is a call on a node that is cut off, if it cannot run elsewhere: `get` raises `Cut`.
    """
    return current().wait(refs, num_returns=num_returns, timeout=timeout)


def put(value: T, *, stay: Stay | None = None) -> ObjectRef[T]:
    """Keep a value in the fabric; a reference to it.

    With ``stay="device"`` or ``"site"`` nobody can read it outside of this node or its site, nor what is made of it;
    see `task` for `releases`, which lets something out.

    Raises:
        OptionError: `stay` is something else.
        FabricError: this process is on no node that could hold it.
    """
    if stay not in (None, *get_args(Stay)):
        raise OptionError("put", f"stay={stay!r} is no value for it", "write 'device' or 'site'")
    return cast("ObjectRef[T]", current().put(value, stay))


def describe(ref: ObjectRef[Any]) -> Envelope:
    """What a value is, without opening it: kind, schema, size, node, what it may not leave, and what it is made of.

    It is looked at on its own node; waits until it is made.

    Raises:
        FabricError: its node does not answer.
    """
    return current().describe(ref)


def nodes() -> tuple[Member, ...]:
    """The nodes of the fabric, by name: tier, site, whether alive, what each has and what of that is free."""
    return current().members()


def placement(of: ObjectRef[Any] | ActorHandle[Any]) -> Placement:
    """Where an actor runs, or where the task of a reference runs or ran, and why there.

    Raises:
        FabricError: it is not placed (yet).
    """
    return current().placement(of)


def explain(of: ObjectRef[Any] | ActorHandle[Any]) -> Explanation:
    """Why the task of a reference, or an actor, was placed where it was: the alternatives, what each would have cost,
    what ruled it out, and, of a task, what was predicted against what happened. Print it, or take `.to_json()`.

    Raises:
        FabricError: this process did not make the call or the actor, or nothing was chosen for it.
    """
    return current().explain(of)


def traffic() -> Mapping[str, int]:
    """Bytes that each directed link carried since the fabric came up, by the link's name ("plant-1->region-1").

    Counted at the interface, headers included. Empty where the links are not shaped on this machine: between real
    machines nobody stands in the middle who could count.
    """
    return current().traffic()
