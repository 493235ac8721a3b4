"""Tokens of clients that are no nodes: one names a client of one gateway; who keeps it keeps only its digest.

A token is ``tg1.ID.SECRET``. The secret has 256 random bits, so a plain SHA-256 of it gives nothing away.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from tierflow.errors import ClientRefused

__all__ = ["ClientGrant", "checked", "digest", "sealed"]

FORM = "tg1"
LONGEST = 200
_NEW = "ask for another: `tierflow gateway token make`"


@dataclass(frozen=True, slots=True)
class ClientGrant:
    """A token that was made: the client's name, its digest, what it may; times are seconds since 1970.

    `size`, `day`, `rate` and `uploads` are `exchange.gateway.Limits`. `revoked` is 0 where it is not.
    """

    id: str
    name: str
    digest: str
    expires: float
    made: float
    size: int
    day: int
    rate: float
    uploads: int
    revoked: float = 0.0


def sealed(id: str, secret: str) -> str:
    """The token's text."""
    return f"{FORM}.{id}.{secret}"


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def checked(token: str, grants: Mapping[str, ClientGrant], now: float) -> ClientGrant:
    """The grant of a token, which is good; `grants` by id, `now` in seconds since 1970.

    Raises:
        ClientRefused: it was not made here, was revoked, or has expired.
    """
    parts = token.split(".")
    grant = grants.get(parts[1]) if len(token) <= LONGEST and token.isascii() and len(parts) == 3 else None
    # Whether there is such an id, and how much of the digest is right, shows in no time that is taken.
    same = hmac.compare_digest(digest(token[:LONGEST]), grant.digest if grant else digest(""))
    if grant is None or not same:
        raise ClientRefused("unknown", "this token is not known to this gateway", _NEW)
    if grant.revoked:
        raise ClientRefused("unknown", "this token was revoked", _NEW)
    if now >= grant.expires:
        raise ClientRefused("unknown", "this token has expired", _NEW)
    return grant
