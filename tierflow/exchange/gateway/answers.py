"""Every error of tierflow as a client of a gateway sees it: a status, and one public sentence.

What was the client's own doing is said in the error's words. Of what went wrong inside he learns that it did: paths,
nodes and causes are for the gateway's log.
"""

from __future__ import annotations

from dataclasses import dataclass

from tierflow import errors
from tierflow.errors import ClientRefused, RefusedAs, TierflowError

__all__ = ["ANSWERS", "REFUSED", "Answer", "answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status (RFC 9110), the gRPC code that says the same, the sentence (empty: the error's), seconds to wait."""

    status: int
    code: str
    sentence: str = ""
    after: float = 0.0


_BROKEN = Answer(503, "UNAVAILABLE", "the gateway cannot do this now; its log says why", 5.0)
_FULL = Answer(
    507, "RESOURCE_EXHAUSTED", "the gateway has no room until its uplink carries more; try again later", 30.0
)
_BAD = Answer(400, "INVALID_ARGUMENT", "this value cannot be carried; send a table as pyarrow writes it")
_PRIVATE = Answer(403, "PERMISSION_DENIED", "this may not leave the place where it was made")

REFUSED: dict[RefusedAs, Answer] = {
    "malformed": Answer(400, "INVALID_ARGUMENT"),
    "unknown": Answer(401, "UNAUTHENTICATED"),
    "missing": Answer(404, "NOT_FOUND"),
    "slow": Answer(408, "DEADLINE_EXCEEDED"),
    "conflict": Answer(409, "ALREADY_EXISTS"),
    "large": Answer(413, "INVALID_ARGUMENT"),
    "kind": Answer(415, "INVALID_ARGUMENT"),
    "range": Answer(416, "OUT_OF_RANGE"),
    "often": Answer(429, "RESOURCE_EXHAUSTED"),
    "busy": Answer(429, "RESOURCE_EXHAUSTED"),
}
"""What each kind of refusal is."""

ANSWERS: dict[type[TierflowError], Answer] = {
    errors.OutboxFull: _FULL,
    errors.PayloadError: _BAD,
    errors.StoreError: _BROKEN,
    errors.Cut: _BROKEN,
    errors.FabricError: _BROKEN,
    errors.NoPlacement: _BROKEN,
    errors.NotStandingIn: _BROKEN,
    errors.RigError: _BROKEN,
    errors.TrustError: Answer(401, "UNAUTHENTICATED", "this token is not good here; ask for another"),
    errors.ClusterFileError: _BROKEN,
    errors.MeasureError: _BROKEN,
    errors.OptionError: _BROKEN,
    errors.ProfileError: _BROKEN,
    errors.UnitError: _BROKEN,
    errors.StayRefused: _PRIVATE,
    errors.Withheld: _PRIVATE,
}
"""What each error is, but for a refusal, which says it itself."""


def answer(error: Exception) -> Answer:
    """The answer to an error; an unexpected one is as one of ours that the client can do nothing about."""
    if isinstance(error, ClientRefused):
        kind = REFUSED[error.kind]
        return Answer(kind.status, kind.code, str(error), error.after)
    return ANSWERS.get(type(error), _BROKEN) if isinstance(error, TierflowError) else _BROKEN
