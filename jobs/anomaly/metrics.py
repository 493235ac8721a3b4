"""Threshold rule and honest counts: events found, separate false alarms, precision and recall by point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.anomaly.forecaster import AHEAD, CONTEXT
from jobs.anomaly.series import Flags, Floats, runs

__all__ = ["MARGIN", "Tally", "tally", "threshold"]

MARGIN = 1.5


def threshold(calibration: Floats) -> float:
    """The one rule for every method: the median of the calibration scores, plus 1.5 times the way to the largest.

    Calibration rows are normal and not trained on, so nothing here knows a label or a test row.
    """
    middle = float(np.median(calibration))
    return middle + MARGIN * (float(calibration.max()) - middle) + 1e-12


@dataclass(frozen=True)
class Tally:
    """What a method found. ``found`` of ``events``; ``false_alarms`` separate ones over ``rows``; by point, shares.

    Where nothing is labelled ``events`` is 0, and precision and recall are None: they are not known.
    """

    rows: int
    events: int
    found: int
    alarms: int
    false_alarms: int
    precision: float | None
    recall: float | None

    @property
    def false_alarm_rate(self) -> float:
        """False alarms for 10,000 rows."""
        return 1e4 * self.false_alarms / max(self.rows, 1)


def tally(alarm: Flags, labels: Flags | None) -> Tally:
    """Count one method's alarms, (rows,), against the labels, (rows,) or None.

    An event is found when an alarm falls inside it, or up to 8 rows before or 32 after: the reach of one window, the
    same for every method. Alarms outside that reach are false; those within 40 rows of each other are one.
    """
    rows = len(alarm)
    if labels is None:
        return Tally(rows, 0, 0, _separate(np.flatnonzero(alarm)), 0, None, None)
    events = runs(labels)
    reach = np.zeros(rows, dtype=bool)
    found = 0
    for start, stop in events:
        near = slice(max(0, start - AHEAD), stop + CONTEXT)
        reach[near] = True
        found += bool(alarm[near].any())
    false = _separate(np.flatnonzero(alarm & ~reach))
    hits = int(np.sum(alarm & labels))
    precision = hits / int(alarm.sum()) if alarm.any() else 0.0
    recall = hits / int(labels.sum()) if labels.any() else None
    return Tally(rows, len(events), found, _separate(np.flatnonzero(alarm)), false, precision, recall)


def _separate(positions: np.ndarray) -> int:
    return 0 if len(positions) == 0 else 1 + int(np.sum(np.diff(positions) > CONTEXT + AHEAD))
