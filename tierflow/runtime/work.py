"""What the SDK hands to a fabric: something to run, and what it asks. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tierflow.planning import Request

__all__ = ["Placement", "Ready", "Work"]


@dataclass(eq=False, slots=True)
class Ready:
    """A work made ready for one fabric.

    Attributes:
        start: how to start it where the last call went, or where Ray likes.
        ways: the ways to start it on a node (the fabric's own).
        chosen: whether a node is chosen for each call.
        version: of the members that it was checked against; the check holds until `until` (monotonic seconds).
        refused: the nodes that cannot run it and why.
        skip: how many calls may go where the last one went without another choice.
        calls: for how many calls a node was chosen.
    """

    start: Callable[..., Any]
    ways: Any
    chosen: bool = False
    version: int = -1
    until: float = 0.0
    refused: Mapping[str, str] = field(default_factory=dict)
    skip: int = 0
    calls: int = 0


@dataclass(eq=False, slots=True)
class Work:
    """A task's function or an actor's class as the nodes run it, its request, and its options by Ray's names.

    `raw` is what the user wrote. `observed` is the body that also tells how the call went, where there is one. `ready`
    is the fabric's own note, so that a second call costs next to nothing.
    """

    body: Any
    raw: Any
    request: Request
    options: Mapping[str, Any]
    observed: Callable[..., Any] | None = None
    ready: Ready | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a task or an actor runs or ran, and why there."""

    node: str
    tier: str
    site: str
    why: str
