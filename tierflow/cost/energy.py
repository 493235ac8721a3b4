"""Joules that a call draws: always modelled, from declared power and from what radios are known to need per byte."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tierflow.cost.estimate import Estimates, Floats
from tierflow.topology.column import Source
from tierflow.topology.link import Radio

__all__ = ["JOULES_PER_BYTE", "compute_energy", "transfer_energy"]

JOULES_PER_BYTE: Mapping[Radio, float] = {
    "wired": 8e-9,
    "ethernet": 8e-9,
    "fiber": 8e-9,
    "wifi": 2.3e-6,
    "lte": 3.5e-6,
    "5g": 1.2e-6,
    "bluetooth": 1.6e-7,
    "zigbee": 2e-6,
    "lora": 1.75e-4,
    "satellite": 3e-5,
}
"""Joules to send a byte, by what carries it; an order of magnitude, not a measurement.

wifi and lte: the slopes of 283 and 438 mW per Mbit/s of Huang et al., "A Close Examination of Performance and Power
Characteristics of 4G LTE Networks" (MobiSys 2012), without base power and tails; 5g: about a third of lte. The others
are a typical transmitter's power over its rate: 1 W at 1 Gbit/s (wired, ethernet, fiber), 20 mW at 1 Mbit/s
(bluetooth), 63 mW at 250 kbit/s (zigbee), 120 mW at 5.5 kbit/s (lora, SF7), 75 W at 20 Mbit/s (satellite terminal).
"""
DOUBT = 0.5
"""The relative standard deviation of a modelled energy."""


def compute_energy(seconds: Estimates, watts: Floats, share: Floats) -> Estimates:
    """Joules above idle: the power that all cores draw, times the share of them that works, times the time.

    NaN where a node's power is not declared.
    """
    joules = seconds.value * watts * share
    return Estimates.of("J", joules, np.square(joules * DOUBT), Source.MODELLED)


def transfer_energy(size: Floats, joules_per_byte: Floats) -> Estimates:
    """Joules to send `size` bytes over paths that need so many joules per byte."""
    joules = size * joules_per_byte
    return Estimates.of("J", joules, np.square(joules * DOUBT), Source.MODELLED)
