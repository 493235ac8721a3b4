"""What the SDK hands to a fabric: something to run, and what it asks. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tierflow.planning import Policy, Request

__all__ = ["Placement", "Ready", "Work"]


POLICY = Policy()
"""What is asked of a placement where nothing is asked."""


@dataclass(eq=False, slots=True)
class Ready:
    """A work made ready for one fabric.

    Attributes:
        start: how to start it where the last call went, or where Ray likes.
        ways: the ways to start it on a node (the fabric's own).
        chosen: whether a node is chosen for each call.
        version: of the members that it was checked against; the check holds until `until` (monotonic seconds).
        refused: by function, its own and its variants', the nodes that cannot run it and why; `rivals` are the
            variants that this was made with.
        skip: how many calls may go where the last one went without another choice: those whose arguments are `alike`,
            with results like what was `made`.
        stride: how many calls that choice was for, where they are brief; `last`: when (monotonic seconds).
        calls: for how many calls a node was chosen.
        policy: what its calls keep, and the default that this was made with.
        node: where the last call went, and reach: who was cut off then.
    """

    start: Callable[..., Any]
    ways: Any
    chosen: bool = False
    version: int = -1
    until: float = 0.0
    refused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rivals: tuple[Work, ...] = ()
    skip: int = 0
    alike: tuple[Any, ...] = ()
    made: Any = None
    stride: int = 0
    last: float = 0.0
    calls: int = 0
    policy: tuple[Policy, Policy] | None = None
    node: str = ""
    reach: Any = None


@dataclass(eq=False, slots=True)
class Work:
    """A task's function or an actor's class as the nodes run it, its request, and its options by Ray's names.

    `raw` is what the user wrote. `policy` is what was asked of the placement; what it does not ask for is the
    fabric's default (`Policy.over`). `accuracy` is how well it does its job (a share, 1 is the best there is), and
    `others` gives the variants that can do the same job. `releases` names the methods whose results have no label,
    whatever they read; of a task the name is empty. `observed` is the body that also tells how the call went, where
    there is one. `stand_in` asks for a second process that answers for an actor when it has crashed. `ready` is the
    fabric's own note, so that a second call costs next to nothing.
    """

    body: Any
    raw: Any
    request: Request
    options: Mapping[str, Any]
    policy: Policy = POLICY
    accuracy: float = 1.0
    others: Callable[[], tuple[Work, ...]] = field(default=tuple, repr=False)
    observed: Callable[..., Any] | None = None
    stand_in: bool = False
    releases: tuple[str, ...] = ()
    ready: Ready | None = field(default=None, repr=False)

    @property
    def variants(self) -> tuple[Work, ...]:
        """The others that can do the same job, in order of name; the same tuple until another is made."""
        return self.others()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a task or an actor runs or ran, and why there."""

    node: str
    tier: str
    site: str
    why: str
