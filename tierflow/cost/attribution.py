"""What a finished call says of the node that ran it, or of the link that its bytes crossed.

The caller sees one number, the seconds from the call to its answer. What `moves` says of it and the seconds that the
function measured are taken off; the rest belongs to the one thing that was the most of it and so explains it best:
the node's dispatch, or the path that carried the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tierflow.cost.call import Call
from tierflow.cost.codec import Codec
from tierflow.cost.dispatch import dispatch_time
from tierflow.cost.moves import Move, moves
from tierflow.cost.transfer import FIRST_WINDOW, SEGMENT
from tierflow.cost.watched import Transfer
from tierflow.topology.conditions import Conditions

__all__ = ["Dispatch", "Outcome", "attribute"]

MAIN = 0.6
"""The share of a call's time besides its function from which on its bytes are the main thing."""
SURPRISE = 4.0
"""Standard deviations beyond which a time is not what was predicted with noise: something has changed."""
SUSPECT = 1 / 8
"""Bytes that take less than this share of a node's dispatch are not what made a call much slower or faster."""
TELLS = 4.0
"""How many times the doubt of all that was taken off a transfer must take to tell a rate."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call went: `total` seconds from the call to its answer at the caller, `compute` of them in the function.

    `result` is the bytes that it returned, `ended` is when the answer came, in seconds of any steady clock. `crowded`
    says that other calls were ahead of it or shared its links, or that a process had to be started for it.
    """

    total: float
    compute: float
    result: float
    ended: float
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A call whose dispatch at a node took so many seconds, seen at `ended`."""

    node: str
    seconds: float
    ended: float


def attribute(
    call: Call, codec: Codec, node: str, outcome: Outcome, conditions: Conditions
) -> Dispatch | Transfer | None:
    """What a call that ran on `node` says; None if that is nothing.

    The bytes are believed to be the cause where they were predicted to take most of the time, or where the time is
    far from what was predicted, and they could well have made the difference: so a step of a link is seen in one
    call. Nothing is learned of a crowded call, nor where the doubt about all other parts is too large.

    Args:
        call: as it was placed, with the caller, the places and the sizes of its inputs.
        codec: what packed its inputs.
        node: that ran it.
        outcome: how it went.
        conditions: what is known of nodes and links now.

    Raises:
        KeyError: the topology has no such node or vertex.
    """
    if outcome.crowded or not 0 <= outcome.compute < outcome.total < math.inf:
        return None
    at = conditions.fixed.nodes[node]
    here = slice(at, at + 1)
    travel = [move for move in moves(call, codec, outcome.result, conditions, here) if not move.later]
    dispatch = dispatch_time(conditions, here).at(0)
    known = sum(float(move.lag.value[0] + move.packing.value[0] + move.sending.value[0]) for move in travel)
    left = outcome.total - outcome.compute - known
    off = left - dispatch.value
    doubt = math.sqrt(sum(float(move.lag.variance[0] + move.packing.variance[0]) for move in travel))
    spread = math.hypot(dispatch.deviation, doubt)
    carriers = _carriers(travel)
    carrying = sum(float(move.carrying[0]) for move in carriers)
    surprising = abs(off) > SURPRISE * spread and carrying >= SUSPECT * dispatch.value
    if carriers and (surprising or carrying >= MAIN * (known + dispatch.value)):
        return _transfer(carriers, node, outcome.ended, off, spread) if left + _streaming(carriers) > 0 else None
    unsure = math.hypot(doubt, *(math.sqrt(float(move.sending.variance[0])) for move in travel))
    if left <= 0 or unsure > max(left, dispatch.value) / 2:
        return None
    return Dispatch(node, left, outcome.ended)


def _carriers(travel: Sequence[Move]) -> list[Move]:
    """The moves over the path that is busy longest, the longest first; none if no move there can tell a rate."""
    busiest = max(travel, key=lambda move: float(move.carrying[0]))
    along = [move for move in travel if (move.end, move.inward) == (busiest.end, busiest.inward)]
    return sorted(along, key=lambda move: -float(move.size[0])) if busiest.size[0] > FIRST_WINDOW else []


def _transfer(carriers: Sequence[Move], node: str, ended: float, off: float, spread: float) -> Transfer | None:
    """The transfer of the largest move, if the path took `off` seconds more than was predicted.

    Time that cannot be told from the doubt about the other parts only bounds the rate from below.
    """
    largest, taken = carriers[0], _streaming(carriers) + off
    seconds = max(taken, TELLS * spread) * _streaming([largest]) / _streaming(carriers)
    ends = (largest.end, node) if largest.inward else (node, largest.end)
    limited = taken < TELLS * spread
    doubt = spread / max(taken, TELLS * spread)
    return Transfer(*ends, float(largest.size[0]), seconds, ended, limited, doubt) if seconds > 0 else None


def _streaming(carriers: Sequence[Move]) -> float:
    """Seconds that moves take at the slowest link of their path, which is what sets their rate."""
    first = (min(float(move.size[0]), SEGMENT) * float(move.path.first[0]) for move in carriers)
    return sum(float(move.sending.value[0]) for move in carriers) - sum(first)
