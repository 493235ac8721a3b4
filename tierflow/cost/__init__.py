"""What things cost: the only room with formulas. Pure: values in, values out.

`predict` says what a `Call` costs on each node under `Conditions`, from the `Profiles` of what was seen before. Every
number has a unit, a source and a standard deviation. `attribute` reads a finished call, and `Watched` turns
what was seen into conditions.
"""

from __future__ import annotations

from tierflow.cost.attribution import Dispatch, Outcome, attribute
from tierflow.cost.call import Call, Input, Variant
from tierflow.cost.codec import RAW, Codec
from tierflow.cost.estimate import Estimate, Unit
from tierflow.cost.prediction import Prediction, predict
from tierflow.cost.profile import Profile, Profiles
from tierflow.cost.queue import IDLE, Queue, wait
from tierflow.cost.watched import Probe, Transfer, Watched

__all__ = [
    "IDLE",
    "RAW",
    "Call",
    "Codec",
    "Dispatch",
    "Estimate",
    "Input",
    "Outcome",
    "Prediction",
    "Probe",
    "Profile",
    "Profiles",
    "Queue",
    "Transfer",
    "Unit",
    "Variant",
    "Watched",
    "attribute",
    "predict",
    "wait",
]
