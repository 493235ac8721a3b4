"""What one call would cost on each node: time in its parts, bytes, joules, dollars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierflow.cost.call import Call
from tierflow.cost.codec import Codec
from tierflow.cost.dispatch import dispatch_time
from tierflow.cost.energy import compute_energy, transfer_energy
from tierflow.cost.estimate import Estimates
from tierflow.cost.money import compute_money, transfer_money
from tierflow.cost.moves import moves
from tierflow.cost.profile import Profile
from tierflow.topology.column import Source
from tierflow.topology.conditions import Conditions

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True, eq=False, slots=True)
class Prediction:
    """What one variant of a call would cost on each node, by index; waiting for a core is not in it.

    `compute`, `transfer`, `codec` and `dispatch` add up to the time; `size` is the bytes that leave a node. `open` is
    false where a link that the call needs is cut.
    """

    compute: Estimates
    transfer: Estimates
    codec: Estimates
    dispatch: Estimates
    size: Estimates
    energy: Estimates
    money: Estimates
    open: NDArray[np.bool_]

    @property
    def time(self) -> Estimates:
        """Seconds from the call to its result, if no call is ahead of it."""
        return self.compute + self.transfer + self.codec + self.dispatch


def predict(call: Call, codec: Codec, profile: Profile, conditions: Conditions) -> Prediction:
    """What the call would cost on each node of the topology, with fetched data packed by a codec.

    `profile` is what is known of the variant that runs. Moves share what is slow: they are taken as one after the
    other.

    Raises:
        KeyError: the caller or the place of an input is no vertex of the topology.
    """
    fixed = conditions.fixed
    compute = profile.compute(conditions, call.size)
    share = np.minimum(call.cpus / np.maximum(fixed.cpus, 1.0), 1.0)
    transfer, packing = (Estimates.none("s", len(fixed.cpus)) for _ in range(2))
    energy, money = compute_energy(compute, fixed.power, share), compute_money(compute, fixed.price, share)
    size, usable = np.zeros(len(fixed.cpus)), np.ones(len(fixed.cpus), np.bool_)
    for move in moves(call, codec, profile.returns(call.size).value, conditions):
        transfer = transfer + move.lag + move.sending
        packing = packing + move.packing
        energy = energy + transfer_energy(move.size, move.path.radio)
        money = money + transfer_money(move.size, move.path.price)
        size = size + move.size
        usable = usable & move.path.open & move.back.open
    return Prediction(
        compute,
        transfer,
        packing,
        dispatch_time(conditions),
        Estimates.of("B", size, 0.0, Source.LEARNED),
        energy,
        money,
        usable,
    )
