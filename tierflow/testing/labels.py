"""Labels of values in a fabric in this process: nothing is sealed there, but the same is refused."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ray.exceptions import RayTaskError

from tierflow.errors import StayRefused, TierflowError, Withheld
from tierflow.exchange import Envelope, looks
from tierflow.testing.actors import ActorState
from tierflow.testing.clock import MockClock
from tierflow.testing.frames import Frame
from tierflow.testing.references import Value, loads
from tierflow.topology import Stay, Topology, scope_of, strictest

__all__ = ["LocalCall", "described", "opened", "refusal"]


@dataclass(frozen=True, slots=True)
class LocalCall:
    """A call of a function on a node: when it begins and ends there, and what becomes of labels.

    Its results may not leave what `stay` says, nor what the values may not that it reads (or its `actor` has read),
    unless it `releases` them.
    """

    title: str
    name: str
    node: str
    function: Callable[..., Any]
    begin: Callable[[float], float]
    end: Callable[[float], None]
    streams: bool = False
    stay: Stay | None = None
    releases: bool = False
    actor: ActorState | None = None

    def frame(self, arrival: float, read: Stay | None) -> Frame:
        """Where it runs, once what it `read` has arrived."""
        known = strictest((self.stay, read, self.actor.stay if self.actor else None))
        if self.actor is not None:
            self.actor.stay = known
        return Frame(self.node, MockClock(self.begin(arrival)), known)

    def label(self, there: Frame) -> Stay | None:
        """What its results may not leave."""
        if self.actor is not None:
            self.actor.stay = strictest((self.actor.stay, there.stay))
        return None if self.releases else there.stay

    def failure(self, there: Frame, error: Exception, topology: Topology) -> RayTaskError:
        """What its caller gets in place of its error; where it has read what may not leave, not what that says."""
        if there.stay is not None and not isinstance(error, TierflowError):
            scope = scope_of(there.stay, self.node, topology.node(self.node).site)
            error = Withheld(self.title, type(error).__name__, scope).with_traceback(error.__traceback__)
        text = "".join(traceback.format_exception(error))
        return RayTaskError(self.title, text, error, f"ray::{self.title}", 0, self.node)  # type: ignore[no-untyped-call]


def described(value: Value, topology: Topology) -> Envelope:
    """What is known of a value."""
    seen = Envelope(*looks(loads(value.data, value.held)), size=len(value.data), function=value.title)
    return replace(seen, node=value.origin, site=topology.node(value.origin).site, stay=value.stay)


def opened(value: Value, here: Frame, topology: Topology) -> Any:
    """A new copy of a value for who runs here; raises its error, or that he may not read it."""
    if isinstance(value.error, RayTaskError):
        raise value.error.as_instanceof_cause()  # type: ignore[no-untyped-call]
    if error := value.error or refusal(value, here.node, topology):
        raise error
    here.stay = strictest((here.stay, value.stay))
    return loads(value.data, value.held)


def refusal(value: Value, node: str, topology: Topology) -> StayRefused | None:
    """The error of a reader on a node; None where he may read it."""
    if value.stay is None:
        return None
    home, here = topology.node(value.origin), topology.node(node)
    scope = scope_of(value.stay, home.name, home.site)
    if scope in (here.name, here.site):
        return None
    what = f"what {value.title or 'the program'} made on {home.name}"
    mend = f"run what needs it at {scope}, or let a function there that declares releases= return what may be known"
    return StayRefused(what, f"{node} asked for it", scope, mend)
