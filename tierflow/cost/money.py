"""Dollars that a call costs: the share of a node that it holds, and the bytes that paid links carry."""

from __future__ import annotations

import numpy as np

from tierflow.cost.estimate import Estimates, Floats
from tierflow.topology.column import Source

__all__ = ["compute_money", "transfer_money"]


def compute_money(seconds: Estimates, price: Floats, share: Floats) -> Estimates:
    """Dollars for `seconds` on the share of a node that costs `price` dollars per second as a whole."""
    return Estimates.of("$", seconds.value * price * share, seconds.variance * np.square(price * share), seconds.source)


def transfer_money(size: Floats, price: Floats) -> Estimates:
    """Dollars for `size` bytes over paths that cost `price` dollars per byte in this direction."""
    return Estimates.of("$", size * price, 0.0, Source.DECLARED)
