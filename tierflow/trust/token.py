"""Join tokens: what one names, how it is signed and read, and the grant that the head keeps of it.

A token is ``tf1.BODY.TAG``: the body is JSON in base64url, the tag the HMAC-SHA256 of the text before it under the
fabric's secret, which never leaves the head. Anybody can read what a token says; only the head can make one or tell
whether it is true.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from tierflow.errors import TrustError

__all__ = ["Grant", "JoinToken"]

FORM = "tf1"
LONGEST = 2000
"""Characters of a token; one has some 400."""
MAKE_ONE = "make one on the head with `tierflow token make`, and copy the whole of it"


@dataclass(frozen=True, slots=True)
class Grant:
    """What the head keeps of a token that it made; times are seconds since 1970, `revoked` is 0 where it is not."""

    id: str
    tier: str
    site: str
    name: str
    expires: float
    made: float
    revoked: float = 0.0


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a join token says.

    Attributes:
        id: of the grant; revoking it ends every token and every member that came of it.
        fabric: the fabric's name.
        tier: and `site`, that the node will have; `name` too, where it is not empty.
        expires: seconds since 1970 from when on nobody joins with it.
        door: ``address:port`` where the head answers.
        pin: SHA-256, in hex, of the certificate that the door shows: whoever shows another is not the head.
        own: whether the node got it when it was admitted, to join again.
    """

    id: str
    fabric: str
    tier: str
    site: str
    name: str
    expires: float
    door: str
    pin: str
    own: bool = False

    def sealed(self, secret: bytes) -> str:
        """The token's text, signed."""
        body = json.dumps(asdict(self), separators=(",", ":"), sort_keys=True).encode()
        said = f"{FORM}.{base64.urlsafe_b64encode(body).decode().rstrip('=')}"
        return f"{said}.{_tag(said, secret)}"

    @classmethod
    def read(cls, text: str) -> JoinToken:
        """What a token says, true or not.

        Raises:
            TrustError: it is no join token.
        """
        parts = text.strip().split(".")
        if len(text) > LONGEST or not text.isascii() or len(parts) != 3 or parts[0] != FORM or not parts[2]:
            raise TrustError("this is not a join token of tierflow, or not the whole of one", MAKE_ONE)
        try:
            said = json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), b"-_", validate=True))
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or not _is_whole(said):
            raise TrustError("this join token is damaged", MAKE_ONE)
        return cls(**said)

    @classmethod
    def checked(cls, text: str, secret: bytes, fabric: str, now: float) -> JoinToken:
        """What a token says, which is true.

        Args:
            text: the token.
            secret: what the fabric signs with.
            fabric: its name.
            now: seconds since 1970.

        Raises:
            TrustError: it is no token, was not made by this fabric or was changed, or has expired.
        """
        token = cls.read(text)
        said, _, tag = text.strip().rpartition(".")
        if not hmac.compare_digest(_tag(said, secret).encode(), tag.encode()):
            raise TrustError(
                f"this join token was not made by the fabric {fabric!r} as it runs now, or was changed", MAKE_ONE
            )
        if token.fabric != fabric:
            raise TrustError(f"this join token is for the fabric {token.fabric!r}, not {fabric!r}", MAKE_ONE)
        if now >= token.expires:
            raise TrustError(f"the join token {token.id} has expired", "make another with `tierflow token make`")
        return token


def _tag(said: str, secret: bytes) -> str:
    return hmac.new(secret, said.encode(), hashlib.sha256).hexdigest()


def _is_whole(said: dict[str, Any]) -> bool:
    """Whether it has the fields of a token, no other, and each of its type."""
    kinds = {"expires": (int, float), "own": (bool,)}
    return said.keys() == {field.name for field in fields(JoinToken)} and all(
        type(value) in kinds.get(name, (str,)) for name, value in said.items()
    )
