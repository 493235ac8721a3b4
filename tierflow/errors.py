"""Every exception of tierflow, in one place.

An error is a sentence for the person who meets it: what was asked, why it can't be, what would make it possible.
Each carries its data as attributes and pickles, because Ray sends errors between processes: the arguments of
``__init__`` are exactly what ``args`` holds, and the sentence is made from them in ``__str__``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ClientRefused",
    "ClusterFileError",
    "Cut",
    "FabricError",
    "MeasureError",
    "NoPlacement",
    "NotStandingIn",
    "OptionError",
    "OutboxFull",
    "PayloadError",
    "ProfileError",
    "Refusal",
    "RefusedAs",
    "RigError",
    "StayRefused",
    "StoreError",
    "TierflowError",
    "TrustError",
    "UnitError",
    "Withheld",
]


class TierflowError(Exception):
    """The root of every error that tierflow raises on purpose."""


class UnitError(TierflowError, ValueError):
    """A quantity that is not one: no number, no unit, or a unit of something else."""

    def __init__(self, text: str, wanted: str, example: str) -> None:
        super().__init__(text, wanted, example)
        self.text, self.wanted, self.example = text, wanted, example

    def __str__(self) -> str:
        return f"{self.text!r} is not a {self.wanted}; write it like {self.example!r}"


class ClusterFileError(TierflowError, ValueError):
    """A cluster file that cannot be used: names the file, the line (0: the file as a whole) and the mend."""

    def __init__(self, file: str, line: int, problem: str, mend: str) -> None:
        super().__init__(file, line, problem, mend)
        self.file, self.line, self.problem, self.mend = file, line, problem, mend

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.problem}; {self.mend}"


class RigError(TierflowError):
    """The rig cannot make, change or remove a host or a link on this machine."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem, self.mend = problem, mend

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}"


class FabricError(TierflowError):
    """The fabric cannot be started, joined, reached or stopped."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem, self.mend = problem, mend

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}"


class TrustError(TierflowError):
    """A join token, a certificate or a claim that does not give what was asked; another try changes nothing."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem, self.mend = problem, mend

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}"


class OptionError(TierflowError, TypeError):
    """An option of ``tierflow.task`` or ``tierflow.actor`` that does not exist or has a value it can't have."""

    def __init__(self, name: str, problem: str, mend: str) -> None:
        super().__init__(name, problem, mend)
        self.name, self.problem, self.mend = name, problem, mend

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}; {self.mend}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One node and what ruled it out for a call."""

    node: str
    tier: str
    site: str
    reason: str


class NoPlacement(TierflowError):
    """No node of the fabric can run what was asked; ``refusals`` names each node and what ruled it out."""

    def __init__(self, name: str, asked: str, refusals: tuple[Refusal, ...], mend: str = "") -> None:
        super().__init__(name, asked, refusals, mend)
        self.name, self.asked, self.refusals, self.mend = name, asked, refusals, mend

    def __str__(self) -> str:
        rows = (
            "\n".join(f"  {r.node} ({r.tier}, {r.site}): {r.reason}" for r in self.refusals)
            or "  (the fabric has no nodes)"
        )
        mend = f"\n{self.mend}" if self.mend else ""
        return f"no node can run {self.name}, which asks for {self.asked}:\n{rows}{mend}"


class Cut(TierflowError):
    """What a call needs is cut off from here: `nodes` are out of reach since the second `since` (since 1970)."""

    def __init__(self, name: str, nodes: tuple[str, ...], since: float, lasted: float, mend: str) -> None:
        super().__init__(name, nodes, since, lasted, mend)
        self.name, self.nodes, self.since, self.lasted, self.mend = name, nodes, since, lasted, mend

    def __str__(self) -> str:
        return f"{self.name} needs {' or '.join(self.nodes)}, cut off from here for {self.lasted:.1f} s; {self.mend}"


class NotStandingIn(TierflowError):
    """A stand-in was called whose actor is there itself; `tierflow.get` makes the call again where it belongs.

    `process` is the actor's process id on its node, if the stand-in was told of one.
    """

    def __init__(self, name: str, process: int | None = None) -> None:
        super().__init__(name, process)
        self.name, self.process = name, process

    def __str__(self) -> str:
        return f"{self.name} does not answer, because the actor itself is there; get the result with tierflow.get"


class PayloadError(TierflowError, ValueError):
    """A value that the exchange cannot carry, or a payload that does not hold what its header says."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem, self.mend = problem, mend

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}"


class MeasureError(TierflowError, ValueError):
    """A measured value that no node or link can have."""

    def __init__(self, quantity: str, value: float, deviation: float) -> None:
        super().__init__(quantity, value, deviation)
        self.quantity, self.value, self.deviation = quantity, value, deviation

    def __str__(self) -> str:
        return (
            f"no {self.quantity} can be {self.value:g} give or take {self.deviation:g}; "
            "a rate and a speed are above 0, a delay is not negative, a share is below 1, and all are finite"
        )


class ProfileError(TierflowError, ValueError):
    """A file of profiles that does not hold what it should."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem, self.mend = problem, mend

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}"


class OutboxFull(TierflowError):
    """An outbox has no room for a record, by its own limit or on its disk. What was in it before still is.

    Attributes:
        box: the outbox's name.
        size: bytes that the record would take.
        held: bytes of the records that wait.
        limit: bytes that may wait; 0 where it is the disk that is full.
        why: what its policy says of this record, or what the disk said.
    """

    def __init__(self, box: str, size: int, held: int, limit: int, why: str) -> None:
        super().__init__(box, size, held, limit, why)
        self.box, self.size, self.held, self.limit, self.why = box, size, held, limit, why

    def __str__(self) -> str:
        room = f"{self.held} of {self.limit} bytes are taken" if self.limit else f"{self.held} bytes wait in it"
        mend = (
            "raise limit=, choose another when_full=, or wait for the link" if self.limit else "make room on the disk"
        )
        return f"the outbox {self.box!r} cannot keep a record of {self.size} bytes ({self.why}; {room}); {mend}"


class StoreError(TierflowError):
    """A durable store that cannot be opened or written, or does not hold what was asked of it."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem, self.mend = problem, mend

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}"


RefusedAs = Literal["malformed", "unknown", "missing", "conflict", "large", "often", "busy", "kind", "range", "slow"]
"""What is wrong with a request at a gateway: its form, who asks, that there is no such thing, what is there
already, its size, how often he asks, how much is going on, its media type, the asked part, or its slowness."""


class ClientRefused(TierflowError):
    """What a gateway says to a client that it refuses; `after` is in how many seconds to try again, where that helps.

    `offset` is how many bytes of an upload are there, where the client asked to go on at another place.
    """

    def __init__(self, kind: RefusedAs, problem: str, mend: str, after: float = 0.0, offset: int | None = None) -> None:
        super().__init__(kind, problem, mend, after, offset)
        self.kind, self.problem, self.mend, self.after, self.offset = kind, problem, mend, after, offset

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}"


class StayRefused(TierflowError):
    """A value that may not leave its device or site was asked for outside, or was about to be sent there.

    Attributes:
        what: the value in words ("a table of camera on cam-1").
        asked: who asked for it, or where it was to go.
        scope: the device or site that it may not leave.
        mend: what can be done.
        id: by which audit logs name the value; empty where several went into it.
    """

    def __init__(self, what: str, asked: str, scope: str, mend: str, id: str = "") -> None:
        super().__init__(what, asked, scope, mend, id)
        self.what, self.asked, self.scope, self.mend, self.id = what, asked, scope, mend, id

    def __str__(self) -> str:
        return f"{self.what} may not leave {self.scope}, and {self.asked}; {self.mend}"


class Withheld(TierflowError):
    """What is left of an error of a function that had read what may not leave: its type, and not what it says."""

    def __init__(self, function: str, kind: str, scope: str) -> None:
        super().__init__(function, kind, scope)
        self.function, self.kind, self.scope = function, kind, scope

    def __str__(self) -> str:
        return (
            f"{self.function} ended in {self.kind}; what that says may hold data which may not leave {self.scope}, and "
            "is withheld: log it on the node, or catch it and return what may be known under releases="
        )
