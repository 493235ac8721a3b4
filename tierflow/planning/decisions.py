"""Rankings that were made before, for calls that are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tierflow.cost.call import Call
from tierflow.cost.profile import Profiles
from tierflow.cost.queue import Queue
from tierflow.planning.choose import Choice, choose
from tierflow.planning.policy import Policy
from tierflow.planning.rank import Ranking, rank
from tierflow.topology.conditions import Conditions

__all__ = ["Decisions", "like"]

MOST = 4096
"""Kinds of calls that are remembered; the one that was met first is forgotten for a new one."""
STEP = 1.125
"""The ratio of the largest to the smallest size that count as alike, from 8 bytes on."""


@dataclass(slots=True)
class _Memory:
    ranking: Ranking
    stamp: tuple[Any, ...]
    turn: int = 0
    node: str | None = None


class Decisions:
    """Chooses for a stream of calls: it ranks again only when the conditions or a profile have changed.

    Calls are alike if they ask the same, of inputs in the same places whose sizes differ by less than `STEP`. One
    object serves one driver; it is not shared between threads.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Call, Policy, str], _Memory] = {}

    def decide(
        self,
        call: Call,
        policy: Policy,
        conditions: Conditions,
        profiles: Profiles,
        load: Mapping[str, Queue],
        refused: Mapping[str, Mapping[str, str]] | None = None,
        asked: str = "",
        *,
        explores: bool = True,
    ) -> Choice:
        """The choice for a call; the arguments are those of `rank` and `choose`.

        `refused` is best the same object as long as it says the same: that is found out soonest. Without `explores` no
        call goes to a node that might be better than is known.

        Raises:
            NoPlacement: no node can run the call.
        """
        call = like(call)
        key = call, policy, asked
        stamp = (conditions, refused, *(profiles.of(variant.function).version for variant in call.variants))
        memory = self._known.get(key)
        if memory is None or not _same(memory.stamp, stamp):
            ranking = rank(call, policy, conditions, profiles, refused, asked)
            memory = _Memory(ranking, stamp, memory.turn if memory else 0, memory.node if memory else None)
            self._known[key] = memory
            if len(self._known) > MOST:
                del self._known[next(iter(self._known))]
        choice = choose(memory.ranking, load, memory.turn if explores else 0, memory.node)
        memory.turn += 1
        if not choice.explores:
            memory.node = choice.node
        return choice


def like(call: Call) -> Call:
    """The call that stands for all that are like it: its inputs have the largest size that still is alike."""
    if all(item.size == _rounded(item.size) for item in call.inputs):
        return call
    return replace(call, inputs=tuple(replace(item, size=_rounded(item.size)) for item in call.inputs))


def _rounded(size: float) -> float:
    """The size rounded up to five binary digits after the first: what is predicted for it is at most 3 % too much."""
    whole = max(int(size), 0)
    unit = 1 << max(whole.bit_length() - 6, 0)
    return float(-(-whole // unit) * unit)


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return len(a) == len(b) and all(x is y or (isinstance(x, int | dict) and x == y) for x, y in zip(a, b, strict=True))
