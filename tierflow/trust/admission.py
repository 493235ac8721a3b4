"""Who gets in under which name, and which members are not what they were given. Pure rules over plain values.

A node is admitted at the address that it knocked from. With TLS its certificate holds for that address alone, and
Ray's peers check it when they connect, so a name goes with an address, and an address with a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tierflow.errors import TrustError
from tierflow.trust.token import Grant, JoinToken

__all__ = ["NAME", "STARTED", "Admission", "Claim", "admit", "fault", "settled"]

STARTED = ""
"""The grant of nodes that `tierflow up` started itself."""
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")
"""What a node or a site may be called, as in a cluster file."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What a node was given: tier and site, the address it may be at, and the id of the grant it came by."""

    tier: str
    site: str
    address: str
    grant: str = STARTED


@dataclass(frozen=True, slots=True)
class Claim:
    """What a member says of itself: the labels that placement goes by, and the address that Ray reaches it at."""

    name: str
    tier: str
    site: str
    address: str


def admit(
    token: JoinToken,
    claim: Claim,
    admitted: Mapping[str, Admission],
    declared: Mapping[str, tuple[str, str]],
    grants: Mapping[str, Grant],
) -> Claim:
    """What the holder of a token that was checked gets: the claim, with the token's tier and site.

    Args:
        token: what was shown.
        claim: name (empty: the token's) and the address that it was shown from. Tier and site are not asked.
        admitted: the nodes that were admitted before, by name.
        declared: tier and site of the nodes of the cluster file, by name.
        grants: every grant of the fabric, by id.

    Raises:
        TrustError: the grant is unknown or revoked, or the name is not this holder's to take.
    """
    grant = grants.get(token.id)
    if grant is None or grant.revoked:
        state = "is not known to this fabric" if grant is None else "was revoked"
        raise TrustError(f"the join token {token.id} {state}", "ask for another: `tierflow token make`")
    name = claim.name or token.name
    if not NAME.fullmatch(name):
        problem = f"{name!r} is no name of a node" if name else f"the join token {token.id} names no node"
        raise TrustError(problem, "give one with --name: 1 to 24 of a-z, 0-9 and '-'")
    if token.name and token.name != name:
        raise TrustError(
            f"the join token {token.id} is for the node {token.name}, not for {name}",
            f"join as {token.name}, or ask for a token for {name}",
        )
    place = declared.get(name, (token.tier, token.site))
    if place != (token.tier, token.site):
        raise TrustError(
            f"{name} is of tier {place[0]} at site {place[1]} in the cluster file, and the join token {token.id} "
            f"gives {token.tier} at {token.site}",
            "join under another name, or ask for a token of that tier and site",
        )
    for other, was in admitted.items():
        if was.grant == STARTED and was.address == claim.address:
            raise TrustError(
                f"{claim.address} is the address of {other}, a node that `tierflow up` started", "join from another one"
            )
    _must_be_free(token, name, admitted, grants)
    return Claim(name, token.tier, token.site, claim.address)


def _must_be_free(token: JoinToken, name: str, admitted: Mapping[str, Admission], grants: Mapping[str, Grant]) -> None:
    before = admitted.get(name)
    if before is None:
        return
    if before.grant == STARTED:
        raise TrustError(f"the name {name} belongs to a node that `tierflow up` started", "join under another name")
    grant = grants.get(before.grant)
    if grant is None or grant.revoked or token.name == name:
        return
    raise TrustError(
        f"the name {name} is taken",
        f"join under another name; if this machine is {name} and has lost its own credentials, make a token for it: "
        f"`tierflow token make --name {name}`",
    )


def settled(admitted: Mapping[str, Admission], claim: Claim, grant: str = STARTED) -> dict[str, Admission]:
    """The admissions once a claim was granted: who had its address before has none until he knocks again."""
    others = {
        name: Admission(was.tier, was.site, "", was.grant) if was.address == claim.address else was
        for name, was in admitted.items()
    }
    return {**others, claim.name: Admission(claim.tier, claim.site, claim.address, grant)}


def fault(claim: Claim, admitted: Mapping[str, Admission], grants: Mapping[str, Grant]) -> str | None:
    """Why a member may not be what it says it is; None where it may."""
    was = admitted.get(claim.name)
    if not claim.tier or not claim.site:
        return "it has no labels of tierflow: it was not started with `tierflow join`"
    if was is None:
        return f"no node called {claim.name} was admitted"
    if was.grant != STARTED:
        grant = grants.get(was.grant)
        if grant is None or grant.revoked:
            return f"the join token it came by ({was.grant}) was revoked"
    if (was.tier, was.site) != (claim.tier, claim.site):
        return f"{claim.name} was admitted to tier {was.tier} at site {was.site}"
    if was.address != claim.address:
        return f"{claim.name} was admitted at {was.address or 'an address that another node has now'}"
    return None
