"""Who may join: certificates, join tokens, and what each node was given. Knows nothing of Ray."""

from __future__ import annotations

from tierflow.trust.admission import NAME, STARTED, Admission, Claim, admit, fault, settled
from tierflow.trust.authority import Facts, Pair, ask, authority, crossed, facts, fingerprint, issue
from tierflow.trust.knocks import Knocks
from tierflow.trust.token import Grant, JoinToken

__all__ = [
    "NAME",
    "STARTED",
    "Admission",
    "Claim",
    "Facts",
    "Grant",
    "JoinToken",
    "Knocks",
    "Pair",
    "admit",
    "ask",
    "authority",
    "crossed",
    "facts",
    "fault",
    "fingerprint",
    "issue",
    "settled",
]
