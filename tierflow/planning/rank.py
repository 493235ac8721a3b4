"""Every way to run a call, by what it costs, for one version of the conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierflow.cost.call import Call, Variant
from tierflow.cost.codec import Codec
from tierflow.cost.estimate import Estimate, Floats
from tierflow.cost.prediction import Prediction, predict
from tierflow.cost.profile import Profiles
from tierflow.errors import Refusal
from tierflow.planning.constraints import Rule, rules
from tierflow.planning.policy import Policy
from tierflow.topology.conditions import Conditions

__all__ = ["Alternative", "Option", "Ranking", "Table", "rank"]

FIRST = 16
"""Options that are spelled out at a time; the first are kept."""
HOPE = 2.0
"""Standard deviations below its predicted cost that an option might still turn out to be."""


@dataclass(frozen=True, slots=True)
class Option:
    """One usable way to run a call, as far as the choice needs it.

    `order` is that of its tier in the policy, `cost` is in the policy's weights and without waiting, `time` is the
    safe number of seconds without waiting, `compute` those on a core, `slots` how many such calls the node runs at
    once. `table` is the index of its variant and codec in the ranking.
    """

    order: int
    cost: float
    node: str
    table: int
    time: float
    compute: float
    slots: float


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to run a call, spelled out: what it would cost in its parts and in all, and what rules it out if so.

    `dispatch` is what a call to the node takes for itself, `queue` the wait for a core, `packing` the codec's time,
    `size` the bytes that leave a node; `cost` is in the policy's weights.
    """

    node: str
    tier: str
    site: str
    function: str
    codec: str
    compute: Estimate
    transfer: Estimate
    queue: Estimate
    packing: Estimate
    dispatch: Estimate
    size: Estimate
    energy: Estimate
    money: Estimate
    cost: float
    ruled_out: str

    @property
    def time(self) -> float:
        """Seconds from the call to its result."""
        parts = self.compute, self.transfer, self.queue, self.packing, self.dispatch
        return sum(part.value for part in parts)


@dataclass(frozen=True, eq=False)
class Table:
    """One variant of the call under one codec, on every node: cost, its deviation, and the rules against nodes."""

    variant: Variant
    codec: Codec
    predicted: Prediction
    cost: Floats
    deviation: Floats
    rules: tuple[Rule, ...]

    def reasons(self, at: int) -> list[str]:
        """What rules out the node at an index, each reason once: several inputs may be held to the same site."""
        return list(dict.fromkeys(rule.words(at) for rule in self.rules if rule.out[at]))


@dataclass(frozen=True, eq=False)
class Ranking:
    """All ways to run a call under a policy; made by `rank`. Waiting for cores is left to the choice."""

    call: Call
    policy: Policy
    conditions: Conditions
    tables: tuple[Table, ...]
    asked: str = ""

    def best_first(self) -> Iterator[Option]:
        """What can run the call: by tier order, cost, name of the node, variant, codec."""
        yield from self._first
        for start in range(FIRST, len(self._sorted[0]), FIRST):
            yield from self._options(slice(start, start + FIRST))

    @cached_property
    def hopeful(self) -> Option | None:
        """The option of the first order whose cost might turn out the least, by how unsure it is."""
        order, cost, _, _, _, deviation = self._sorted
        if not len(order):
            return None
        count = int(np.searchsorted(order, order[0], side="right"))
        at = int(np.argmin(cost[:count] - HOPE * deviation[:count]))
        return next(self._options(slice(at, at + 1)))

    def might_cost(self, option: Option) -> float:
        """What an option might turn out to cost at best, without waiting."""
        at = self.conditions.fixed.nodes[option.node]
        return option.cost - HOPE * float(self.tables[option.table].deviation[at])

    def alternative(self, node: str, table: int, waited: float, late: str = "") -> Alternative:
        """One way to run the call, spelled out, with `waited` seconds for a core, and `late` if that rules it out."""
        at, row = self.conditions.fixed.nodes[node], self.tables[table]
        spec, predicted = self.conditions.topology.nodes[at], row.predicted
        compute = predicted.compute.at(at)
        return Alternative(
            node,
            spec.tier,
            spec.site,
            row.variant.function,
            row.codec.name,
            compute,
            predicted.transfer.at(at),
            Estimate(waited, waited * compute.deviation / compute.value, "s", compute.source),
            predicted.codec.at(at),
            predicted.dispatch.at(at),
            predicted.size.at(at),
            predicted.energy.at(at),
            predicted.money.at(at),
            float(row.cost[at]) + self.policy.weight("latency") * waited,
            late or ", ".join(row.reasons(at)),
        )

    def refusals(self, late: Mapping[str, str]) -> tuple[Refusal, ...]:
        """For each node what rules it out where it comes nearest to being usable; `late` says so of usable ones."""
        rows = []
        for at, node in enumerate(self.conditions.topology.nodes):
            found = min((table.reasons(at) for table in self.tables), key=len)
            rows.append(Refusal(node.name, node.tier, node.site, ", ".join(found) or late.get(node.name, "")))
        return tuple(sorted(rows, key=lambda refusal: refusal.node))

    @cached_property
    def _first(self) -> tuple[Option, ...]:
        return tuple(self._options(slice(FIRST)))

    @cached_property
    def _sorted(self) -> tuple[NDArray[Any], ...]:
        """The usable options in order, as columns: order, cost, index of the node, table, safe time, deviation."""
        order = _order(self.policy, self.conditions)
        columns: list[tuple[NDArray[Any], ...]] = []
        for number, table in enumerate(self.tables):
            usable = np.ones(len(order), np.bool_)
            for rule in table.rules:
                usable &= ~rule.out
            at = np.flatnonzero(usable)
            time = table.predicted.time
            safe = time.value[at] + self.policy.margin * np.sqrt(time.variance[at])
            numbers = np.full(len(at), number)
            columns.append((order[at], table.cost[at], at, numbers, safe, table.deviation[at]))
        joined = [np.concatenate(column) for column in zip(*columns, strict=True)]
        names = self.conditions.fixed.by_name[joined[2].astype(np.intp)]
        best = np.lexsort((joined[3], names, joined[1], joined[0]))
        return tuple(column[best] for column in joined)

    def _options(self, which: slice) -> Iterator[Option]:
        fixed, nodes = self.conditions.fixed, self.conditions.topology.nodes
        for order, cost, at, number, time, _ in zip(*(column[which].tolist() for column in self._sorted), strict=True):
            slots = max(float(fixed.cpus[at]) // self.call.cpus, 1.0) if self.call.cpus else float("inf")
            compute = float(self.tables[number].predicted.compute.value[at])
            yield Option(order, cost, nodes[at].name, number, time, compute, slots)


def rank(
    call: Call,
    policy: Policy,
    conditions: Conditions,
    profiles: Profiles,
    refused: Mapping[str, Mapping[str, str]] | None = None,
    asked: str = "",
) -> Ranking:
    """Predict the call on every node and sort out what the policy rules out.

    Args:
        call: what to place.
        policy: what to minimise and to keep.
        conditions: the nodes and links now.
        profiles: what is known of each variant.
        refused: by function, the nodes that cannot run it at all (see `eligible`), with the reason.
        asked: what was asked besides the policy, in words for the error.
    """
    tables = []
    for variant, codec in product(call.variants, call.codecs):
        predicted = predict(call, codec, profiles.of(variant.function), conditions)
        cost, deviation = _cost(policy, predicted)
        against = rules(call, policy, variant, predicted, conditions, (refused or {}).get(variant.function, {}))
        tables.append(Table(variant, codec, predicted, cost, deviation, against))
    return Ranking(call, policy, conditions, tuple(tables), asked)


def _cost(policy: Policy, predicted: Prediction) -> tuple[Floats, Floats]:
    """The weighted sum of what is minimised, and its standard deviation."""
    metrics = {
        "latency": predicted.time,
        "energy": predicted.energy,
        "money": predicted.money,
        "bytes": predicted.size,
    }
    chosen = [(weight, metrics[metric]) for metric, weight in policy.weights]
    cost: Floats = sum((weight * column.value for weight, column in chosen), np.zeros(len(predicted.open)))
    variance = sum((weight**2 * column.variance for weight, column in chosen), np.zeros(len(cost)))
    return cost, np.sqrt(variance)


def _order(policy: Policy, conditions: Conditions) -> Floats:
    """The place of each node's tier in the policy's order; all tiers that are not in it share the last place."""
    places = {tier: place for place, tier in enumerate(policy.order)}
    tiers = [places.get(tier, len(places)) for tier in conditions.topology.tiers]
    return np.array(tiers, np.float64)[conditions.fixed.tier]
