"""Who may join: certificates, join tokens, what each node was given; and logs that show it where they were altered.

Knows nothing of Ray.
"""

from __future__ import annotations

from tierflow.trust.admission import NAME, STARTED, Admission, Claim, admit, fault, settled
from tierflow.trust.authority import Facts, Pair, ask, authority, crossed, facts, fingerprint, issue
from tierflow.trust.chain import End, broken, end_of, linked
from tierflow.trust.knocks import Knocks
from tierflow.trust.repeats import Held, again, due
from tierflow.trust.token import Grant, JoinToken

__all__ = [
    "NAME",
    "STARTED",
    "Admission",
    "Claim",
    "End",
    "Facts",
    "Grant",
    "Held",
    "JoinToken",
    "Knocks",
    "Pair",
    "admit",
    "again",
    "ask",
    "authority",
    "broken",
    "crossed",
    "due",
    "end_of",
    "facts",
    "fault",
    "fingerprint",
    "issue",
    "linked",
    "settled",
]
