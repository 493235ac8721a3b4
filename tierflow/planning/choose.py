"""Choose where a call runs: the ranking, with the calls that are on their way to each node."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tierflow.cost.codec import Codec
from tierflow.cost.queue import IDLE, Queue, wait
from tierflow.errors import NoPlacement
from tierflow.planning.constraints import too_late
from tierflow.planning.rank import Alternative, Option, Ranking
from tierflow.units import show_duration

__all__ = ["Choice", "choose"]

STAY = 0.02
"""The share of the cost that moving to another node must save."""
EXPLORE = 0.02
"""The share of the cost that exploring may add in the long run."""
LEAST_PERIOD = 16
"""Calls between two that explore, at the least."""


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """The node, function and codec for one call, and what it was chosen from.

    `cost` is in the policy's weights, `waited` the seconds for a core that are part of it. `explores` is true where
    the node was not the best but might be, and is tried to keep the profiles true.
    """

    node: str
    function: str
    codec: str
    cost: float
    waited: float
    compute: float
    explores: bool
    ranking: Ranking
    load: Mapping[str, Queue]

    @property
    def packing(self) -> Codec:
        """The codec itself."""
        return next(table.codec for table in self.ranking.tables if table.codec.name == self.codec)

    def alternatives(self) -> tuple[Alternative, ...]:
        """Every way to run the call: the usable ones as they were preferred, then the others by name of the node."""
        ranking, deadline = self.ranking, self.ranking.policy.deadline
        usable = []
        for option in ranking.best_first():
            waited = _wait(option, self.load)
            late = deadline is not None and option.time + waited > deadline
            words = too_late(option.time + waited, deadline, waited) if late and deadline is not None else ""
            row = ranking.alternative(option.node, option.table, waited, words)
            usable.append(((late, option.order, row.cost, option.node, option.table), row))
        usable.sort(key=lambda pair: pair[0])
        names = sorted(ranking.conditions.fixed.nodes)
        tables = range(len(ranking.tables))
        spelled = (ranking.alternative(name, table, 0.0) for name in names for table in tables)
        return (*(row for _, row in usable), *(row for row in spelled if row.ruled_out))

    def next_best(self, most: int) -> tuple[str, ...]:
        """Up to `most` other nodes that could run the same function and codec, in order of preference."""
        ranking, deadline = self.ranking, self.ranking.policy.deadline
        table = next(
            number
            for number, row in enumerate(ranking.tables)
            if (row.variant.function, row.codec.name) == (self.function, self.codec)
        )
        found: list[tuple[int, float, str]] = []
        for option in ranking.best_first():
            if len(found) >= most and (option.order, option.cost) > found[most - 1][:2]:
                break
            waited = _wait(option, self.load)
            fits = option.table == table and option.node != self.node
            if fits and (deadline is None or option.time + waited <= deadline):
                found.append((option.order, option.cost + ranking.policy.weight("latency") * waited, option.node))
                found.sort()
        return tuple(name for _, _, name in found[:most])


def choose(ranking: Ranking, load: Mapping[str, Queue], turn: int = 0, previous: str | None = None) -> Choice:
    """The best node now: the least cost with waiting, by tier order, then by name of the node.

    Options come by their cost without waiting, and waiting only adds to it: so the search ends at the first that is
    dearer than the best found.

    Args:
        ranking: the ways to run the call.
        load: what is on its way to each node or runs there; a node that is not named is idle.
        turn: how many such calls were placed before. Now and then one goes to a node that might be better than is
            known, so rarely that it adds less than `EXPLORE` to the cost.
        previous: the node of the last such call, which keeps the next one unless moving saves more than `STAY`.

    Raises:
        NoPlacement: no node can keep what the policy asks; each is listed with what rules it out.
    """
    best: tuple[int, float, str, int] | None = None
    chosen: Option | None = None
    stayed: Option | None = None
    weight, deadline = ranking.policy.weight("latency"), ranking.policy.deadline
    slack = 1.0 if previous is None else 1.0 + STAY
    late = {}
    for option in ranking.best_first():
        if best is not None and (option.order > best[0] or option.cost > best[1] * slack):
            break
        waited = _wait(option, load)
        if deadline is not None and option.time + waited > deadline:
            late[option.node] = too_late(option.time + waited, deadline, waited)
            continue
        key = (option.order, option.cost + weight * waited, option.node, option.table)
        if best is None or key < best:
            best, chosen = key, option
        if option.node == previous and stayed is None:
            stayed = option
    if best is None or chosen is None:
        raise _no_placement(ranking, late)
    if stayed is not None and stayed.order == best[0]:
        cost = stayed.cost + weight * _wait(stayed, load)
        chosen = stayed if cost <= best[1] * slack else chosen
    other = _explored(ranking, load, turn, best[1])
    return _choice(ranking, load, chosen if other is None else other, explores=other is not None)


def _explored(ranking: Ranking, load: Mapping[str, Queue], turn: int, best: float) -> Option | None:
    """The option that might be better than the best, if it is its turn to be tried."""
    if turn % LEAST_PERIOD != LEAST_PERIOD - 1:
        return None
    other = ranking.hopeful
    if other is None:
        return None
    waited = _wait(other, load)
    cost = other.cost + ranking.policy.weight("latency") * waited
    deadline = ranking.policy.deadline
    if cost <= best or (deadline is not None and other.time + waited > deadline):
        return None
    periods = math.ceil((cost - best) / (EXPLORE * best * LEAST_PERIOD)) if best > 0 else 0
    might = ranking.might_cost(other) + cost - other.cost
    due = periods > 0 and turn // LEAST_PERIOD % periods == periods - 1
    return other if due and might < best else None


def _choice(ranking: Ranking, load: Mapping[str, Queue], option: Option, *, explores: bool) -> Choice:
    waited = _wait(option, load)
    table = ranking.tables[option.table]
    cost = option.cost + ranking.policy.weight("latency") * waited
    return Choice(
        option.node,
        table.variant.function,
        table.codec.name,
        cost,
        waited,
        option.compute,
        explores,
        ranking,
        dict(load),
    )


def _wait(option: Option, load: Mapping[str, Queue]) -> float:
    queue = load.get(option.node, IDLE)
    return wait(queue, option.slots) if queue.calls else 0.0


def _no_placement(ranking: Ranking, late: Mapping[str, str]) -> NoPlacement:
    asked = ", ".join(part for part in (ranking.asked, ranking.policy.asked) if part) or "any node"
    refusals = ranking.refusals(late)
    return NoPlacement(ranking.call.variants[0].function, asked, refusals, _mend(ranking, late))


def _mend(ranking: Ranking, late: Mapping[str, str]) -> str:
    """The deadline that could be kept, where only the deadline or the queues are in the way."""
    if late:
        return "a later deadline, or fewer calls at once, would make it possible"
    if ranking.policy.deadline is None:
        return ""
    soonest = [
        float(table.predicted.time.value[at])
        for table in ranking.tables
        for at in range(len(ranking.conditions.topology.nodes))
        if len(reasons := table.reasons(at)) == 1 and reasons[0].startswith("would take")
    ]
    if not soonest:
        return ""
    return f"the soonest that a result could be there is after {show_duration(float(f'{min(soonest):.3g}'))}"
