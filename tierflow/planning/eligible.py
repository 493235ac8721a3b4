"""Which nodes can run a call at all, and what rules out the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tierflow.errors import NoPlacement, Refusal
from tierflow.planning.request import Request, Selector, amount
from tierflow.topology import NODE, SITE, TIER, Member

__all__ = ["Eligible", "eligible", "no_placement"]

_WORDS = {TIER: "tier", SITE: "site", NODE: "node"}


@dataclass(frozen=True, slots=True)
class Eligible:
    """The nodes that can run a call, the preferred ones first, and for each other node what ruled it out."""

    nodes: tuple[Member, ...]
    refusals: tuple[Refusal, ...]


def eligible(request: Request, members: Iterable[Member]) -> Eligible:
    """Sort the members into those that can run the request and those that can't.

    What a node has in all counts, not what is free now: a busy node is worth waiting for. Nodes come in order of
    the tier asked for, then by name.
    """
    fits: list[tuple[int, str, Member]] = []
    refusals = []
    selectors = request.selectors
    for member in sorted(members, key=lambda member: member.name):
        rank = next((i for i, selector in enumerate(selectors) if _matches(selector, member)), None)
        reasons = list(_reasons(request, member, placed=rank is not None or not selectors))
        if reasons:
            refusals.append(
                Refusal(member.name, member.tier or "no tier", member.site or "no site", ", ".join(reasons))
            )
        else:
            fits.append((rank or 0, member.name, member))
    return Eligible(tuple(member for _, _, member in sorted(fits, key=lambda fit: fit[:2])), tuple(refusals))


def no_placement(request: Request, members: Sequence[Member]) -> NoPlacement:
    """The error for a request that no member can run, with what would make it possible where that is known."""
    alive = [member for member in members if member.alive]
    return NoPlacement(request.title, request.asked, eligible(request, members).refusals, _mend(request, alive))


def _reasons(request: Request, member: Member, *, placed: bool) -> Iterable[str]:
    if not member.alive:
        yield "it is not alive"
        return
    if not placed:
        yield _misplaced(request, member)
    for name, asked in sorted(request.resources.items()):
        has = member.resources.get(name, 0.0)
        if asked > has:
            yield f"has {amount(name, has)}, not {amount(name, asked)}"


def _misplaced(request: Request, member: Member) -> str:
    if request.tiers and member.tier not in request.tiers:
        return f"is of tier {member.tier}" if member.tier else f"has no label {TIER}"
    if request.site is not None and member.site != request.site:
        return f"is at site {member.site}" if member.site else f"has no label {SITE}"
    if request.node is not None and member.labels.get(NODE) != request.node:
        return "is another node"
    wrong = next(
        (key for key, value in request.labels.items() if not _label_matches(value, member.labels.get(key))), ""
    )
    return f"its label {wrong} is {member.labels[wrong]}" if wrong in member.labels else f"has no label {wrong}"


def _matches(selector: Selector, member: Member) -> bool:
    return all(_label_matches(expression, member.labels.get(key)) for key, expression in selector.items())


def _label_matches(expression: str, value: str | None) -> bool:
    """Ray's label expressions: https://docs.ray.io/en/latest/ray-core/scheduling/labels.html."""
    negated = expression.startswith("!")
    bare = expression.removeprefix("!")
    choices = [bare]
    if bare.startswith("in(") and bare.endswith(")"):
        choices = [choice.strip() for choice in bare[3:-1].split(",")]
    return (value in choices) != negated


def _mend(request: Request, alive: Sequence[Member]) -> str:
    if request.tiers and alive and not any(member.tier for member in alive):
        return (
            f"no node of this cluster has the label {TIER}: start it with `tierflow up`, or each Ray node "
            f"with `ray start --labels={TIER}={request.tiers[0]},{SITE}=SITE,{NODE}=NAME`"
        )
    asked = ((TIER, request.tiers), (SITE, _one(request.site)), (NODE, _one(request.node)))
    for key, names in asked:
        known = sorted({member.labels[key] for member in alive if key in member.labels})
        if names and not any(name in known for name in names):
            close = get_close_matches(names[0], known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there is: {', '.join(known) or 'none'}"
            return f"the fabric has no {_WORDS[key]} {' or '.join(names)}; {hint}"
    return ""


def _one(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)
