"""How long a call to a node takes for itself: leasing a worker, unpickling, scheduling."""

from __future__ import annotations

import numpy as np

from tierflow.cost.estimate import Estimates
from tierflow.topology.conditions import Conditions

__all__ = ["dispatch_time"]

SPREAD = 0.4
"""The relative standard deviation of one call's dispatch around its node's level."""


def dispatch_time(conditions: Conditions, at: slice = slice(None)) -> Estimates:
    """Seconds of dispatch of one call to each of the nodes `at`."""
    value, deviation = conditions.dispatch.value[at], conditions.dispatch.deviation[at]
    return Estimates.of("s", value, np.square(deviation) + np.square(value * SPREAD), conditions.dispatch.source[at])
