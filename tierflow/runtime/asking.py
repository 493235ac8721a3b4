"""What a call asks of the planner: its policy, the works that can do it, its inputs. Knows nothing of Ray.

Both fabrics ask with this, the real one and that of the test kit, so that the same call is placed the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tierflow.cost import Codec
from tierflow.cost.call import Call, Input, Variant
from tierflow.errors import NoPlacement
from tierflow.planning import Policy, eligible
from tierflow.planning.choose import Choice
from tierflow.runtime.placing import Placing
from tierflow.runtime.weight import weight
from tierflow.runtime.work import Work
from tierflow.topology import Member, Stay

__all__ = [
    "INLINE_TEXT",
    "Refused",
    "can_choose",
    "chosen",
    "error_words",
    "function_name",
    "inputs",
    "kept",
    "next_best",
    "refusals",
]

Refused = Mapping[str, Mapping[str, str]]
"""By function and node, why it cannot run there."""
OTHERS = 2
"""How many next best nodes a call may fall back to."""
OTHERS_OF_ACTOR = 16
"""The same for what is not started anew at each call: an actor is started again there if its node is lost."""
INLINE_TEXT = 1024
"""Bytes from which on an argument is an input of its own."""


def can_choose(work: Work) -> bool:
    """Whether the node is the fabric's to choose: the user has not given Ray a strategy of his own."""
    if work.request.fallbacks:
        return False
    own = (work.options.get(name) for name in ("scheduling_strategy", "placement_group"))
    return all(value in (None, "default", "DEFAULT") for value in own)


def kept(work: Work, program: Policy, cluster: Policy) -> Policy:
    """What a call keeps: the work's own policy over the program's over the cluster file's."""
    policy = work.policy.over(program.over(cluster))
    if len(work.request.tiers) > 1 and not policy.order:
        policy = replace(policy, order=work.request.tiers)
    return policy


def inputs(
    values: Iterable[Any],
    caller: str,
    where: Callable[[Any], Input | None],
    packs: Callable[[Any], tuple[Codec, ...]] = lambda value: (),
    stay: Stay | None = None,
) -> tuple[Input, ...]:
    """The inputs of a call from the node `caller`: what is small together, and each other one.

    `where` tells the place and size of what is a reference, and None of what is not; `packs` what makes that smaller,
    and `stay` what it may not leave, because the caller has read what may not.
    """
    here, beside = 0, []
    for value in values:
        found = where(value)
        if found is not None:
            beside.append(found)
            continue
        size = weight(value)
        if size > INLINE_TEXT:
            beside.append(Input(caller, float(size), stay, packs=packs(value)))
        else:
            here += size
    return (Input(caller, float(here), stay), *beside) if here else tuple(beside)


def refusals(work: Work, members: Sequence[Member], nodes: Iterable[str]) -> Refused:
    """By function, the work's own and its variants', which of the nodes cannot run it and why."""
    absent = dict.fromkeys(set(nodes) - {member.name for member in members}, "it has not joined")
    found = {}
    for each in (work, *work.variants):
        refused = eligible(each.request, members).refusals
        found[function_name(each)] = absent | {refusal.node: refusal.reason for refusal in refused}
    return found


def chosen(
    placing: Placing, work: Work, policy: Policy, given: tuple[Input, ...], refused: Refused, *, whole: bool = False
) -> tuple[Work, Call, Choice]:
    """The work that is to do the call, itself or a variant of it, the call as it was placed, and its node.

    `whole` chooses as if no node were cut off.

    Raises:
        NoPlacement: no node can keep what the policy asks.
    """
    works = {_variant(work): work}
    if policy.accuracy is not None:
        works.update({_variant(other): other for other in work.variants})
    try:
        call, choice = placing.choose(tuple(works), work.request, policy, given, refused, whole=whole)
    except NoPlacement as error:
        raise NoPlacement(work.request.title, error.asked, error.refusals, error.mend) from None
    return next(other for variant, other in works.items() if variant.function == choice.function), call, choice


def next_best(choice: Choice, work: Work, placing: Placing) -> tuple[str, ...]:
    """The nodes that may take the call, in their order, where the chosen one has no free core.

    Where that is busy with calls of ours and was chosen all the same, the call is to wait for it. Where it seemed idle,
    or did not keep the last call, others use it, and the next best is as good.
    """
    most = OTHERS if work.observed is not None else OTHERS_OF_ACTOR
    waits = choice.waited and len(work.request.tiers) < 2 and placing.keeps(choice.node)
    return () if waits else choice.next_best(most)


def error_words(error: Any) -> str:
    """What a call ended in, in a line: the user's own error where Ray has wrapped it."""
    error = getattr(error, "cause", None) or error
    return f"{type(error).__name__}: {error}".splitlines()[0]


def function_name(work: Work) -> str:
    """The name that a function's profile is kept under: the same in every program that imports it."""
    raw = work.raw
    module = raw.__module__
    if module == "__main__":  # in a worker the file of `__main__` is Ray's own
        code = getattr(raw, "__code__", None)
        module = Path(code.co_filename if code else sys.modules["__main__"].__dict__.get("__file__") or module).stem
    return f"{module}.{raw.__qualname__.removesuffix('.raw')}"


def _variant(work: Work) -> Variant:
    return Variant(function_name(work), work.accuracy)
