"""What things cost: the only room with formulas. Pure: values in, values out.

`predict` says what a `Call` costs on each node under `Conditions`, from the `Profiles` of what was seen before. Every
number has a unit, a source and a standard deviation. `Links` turns watched transfers into conditions.
"""

from __future__ import annotations

from tierflow.cost.call import Call, Input, Prediction, Variant, predict
from tierflow.cost.codec import RAW, Codec
from tierflow.cost.estimate import Estimate, Unit
from tierflow.cost.links import Links, Probe, Transfer
from tierflow.cost.profile import Profile, Profiles
from tierflow.cost.queue import IDLE, Queue, wait

__all__ = [
    "IDLE",
    "RAW",
    "Call",
    "Codec",
    "Estimate",
    "Input",
    "Links",
    "Prediction",
    "Probe",
    "Profile",
    "Profiles",
    "Queue",
    "Transfer",
    "Unit",
    "Variant",
    "predict",
    "wait",
]
