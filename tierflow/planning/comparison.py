"""What many calls share of their explanation: the ways to run them, as one ranking compared them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from tierflow.cost.call import Input
from tierflow.cost.estimate import Estimate
from tierflow.planning.constraints import too_late
from tierflow.planning.plain import PARTS, plain_policy, plain_row, policy_of, row_of
from tierflow.planning.policy import Policy
from tierflow.planning.rank import Alternative, Ranking

__all__ = ["RULED_OUT", "USABLE", "Comparison", "key", "short", "told"]

USABLE = 10
"""Usable alternatives that are told; the others are counted."""
RULED_OUT = 20
"""Alternatives that are ruled out and told; the others are counted."""


def short(number: float) -> float:
    """A number to five digits, as explanations hold them; NaN for one that is unknown or without bound."""
    return float(f"{number:.5g}") if math.isfinite(number) else math.nan


def told(row: Alternative) -> Alternative:
    """An alternative whose numbers have five digits."""
    parts: dict[str, Any] = {name: _shortened(getattr(row, name)) for name in PARTS}
    return replace(row, cost=short(row.cost), **parts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Alternatives as they are with no call in a queue: usable ones in order of preference, then what is ruled out.

    `usable` and `ruled_out` count all there are, also those that `rows` leaves out. Sizes of inputs are those that
    stand for all calls that are alike, up to 3 % above the true ones. Numbers have five digits.
    """

    asked: str
    policy: Policy
    inputs: tuple[Input, ...]
    rows: tuple[Alternative, ...]
    usable: int
    ruled_out: int

    @classmethod
    def of(cls, ranking: Ranking, usable: int = USABLE, ruled_out: int = RULED_OUT) -> Comparison:
        """The comparison that a ranking made, with so many rows at most.

        Nodes with no usable row come first among what is ruled out. Variants that were not called are left out where
        the policy admits none.
        """
        called, choosy = ranking.call.variants[0], ranking.policy.accuracy is not None
        tables = [n for n, row in enumerate(ranking.tables) if choosy or row.variant == called]
        nodes = ranking.conditions.topology.nodes
        out = np.zeros((len(tables), len(nodes)), np.bool_)
        for place, table in enumerate(tables):
            for rule in ranking.tables[table].rules:
                out[place] |= rule.out
        which, at = np.nonzero(out)
        helped = np.logical_not(out.all(axis=0))
        worst = np.lexsort((which, ranking.conditions.fixed.by_name[at], helped[at]))[:ruled_out]
        places = [(option.node, option.table) for option in islice(ranking.best_first(), usable)]
        places += [(nodes[at[index]].name, tables[which[index]]) for index in worst]
        return cls(
            ranking.asked,
            ranking.policy,
            tuple(replace(item, size=short(item.size), packs=()) for item in ranking.call.inputs),
            tuple(told(ranking.alternative(*place, 0.0)) for place in places),
            int((~out).sum()),
            int(out.sum()),
        )

    def having(self, row: Alternative) -> Comparison:
        """The comparison with a usable row that `rows` might have left out."""
        return self if key(row) in map(key, self.rows) else replace(self, rows=(row, *self.rows))

    def waiting(self, waits: Mapping[str, float], chosen: tuple[str, str, str]) -> tuple[Alternative, ...]:
        """The rows with the seconds that each node's queue adds, in the order of preference that follows.

        What the queue makes too late for the deadline is ruled out, but for the row that was `chosen` (node, function
        and codec).
        """
        rows = [self._waits(row, waits.get(row.node, 0.0), key(row) == chosen) for row in self.rows]
        tiers = {tier: place for place, tier in enumerate(self.policy.order)}
        usable = [row for row in rows if not row.ruled_out]
        usable.sort(key=lambda row: (tiers.get(row.tier, len(tiers)), row.cost))
        return (*usable, *(row for row in rows if row.ruled_out))

    def _waits(self, row: Alternative, seconds: float, chosen: bool) -> Alternative:
        if not seconds or row.ruled_out:
            return row
        compute, deadline = row.compute, self.policy.deadline
        share = compute.deviation / compute.value if compute.value else 0.0
        queue = _shortened(Estimate(seconds, seconds * share, "s", compute.source))
        row = replace(row, queue=queue, cost=short(row.cost + self.policy.weight("latency") * seconds))
        if deadline is None or chosen:
            return row
        parts = (row.compute, row.transfer, row.dispatch, row.packing)
        safe = row.time + self.policy.margin * math.hypot(*(part.deviation for part in parts))
        return replace(row, ruled_out=too_late(safe, deadline, seconds)) if safe > deadline else row

    def plain(self) -> dict[str, Any]:
        """The comparison as JSON has it, short: rows and inputs are lists, see `plain_row`."""
        return {
            "asked": self.asked,
            "policy": plain_policy(self.policy),
            "inputs": [[item.at, item.size, item.stay, item.stored] for item in self.inputs],
            "rows": [plain_row(row) for row in self.rows],
            "usable": self.usable,
            "ruled_out": self.ruled_out,
        }

    @classmethod
    def loads(cls, plain: Mapping[str, Any]) -> Comparison:
        """The comparison that `plain` wrote. Raises `ValueError`, `TypeError` or `KeyError` where it is none."""
        return cls(
            plain["asked"],
            policy_of(plain["policy"]),
            tuple(Input(*item) for item in plain["inputs"]),
            tuple(row_of(row) for row in plain["rows"]),
            plain["usable"],
            plain["ruled_out"],
        )


def key(row: Alternative) -> tuple[str, str, str]:
    """What tells a row from all others of its ranking."""
    return row.node, row.function, row.codec


def _shortened(part: Estimate) -> Estimate:
    return Estimate(short(part.value), short(part.deviation), part.unit, part.source)
