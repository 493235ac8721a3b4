"""The rig: hosts with addresses, CPU quotas and shaped links on this one machine. Knows nothing of Ray."""

from __future__ import annotations

from tierflow.rig.calibrate import Calibration, calibrate
from tierflow.rig.control import LinkControl
from tierflow.rig.host import Host
from tierflow.rig.namespaces import InterfaceCounters
from tierflow.rig.privilege import missing_privilege
from tierflow.rig.rig import Progress, Rig
from tierflow.rig.shaping import LineCounters as LinkCounters
from tierflow.rig.sweep import sweep
from tierflow.rig.trace import TraceRow, read_trace

__all__ = [
    "Calibration",
    "Host",
    "InterfaceCounters",
    "LinkControl",
    "LinkCounters",
    "Progress",
    "Rig",
    "TraceRow",
    "calibrate",
    "missing_privilege",
    "read_trace",
    "sweep",
]
