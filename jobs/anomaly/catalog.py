"""Real sensor series that ship inside the wheels of aeon and river; their files are read, nothing is imported."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from jobs.anomaly.series import Floats, Indices, Series, SeriesError, Split, split_by_share

__all__ = ["CATALOG", "load"]

# The four incidents that river's docstring describes (three low-flow moments, and a small peak after the first two);
# it gives no dates, so these row ranges are our reading of its text against the values. First and last row, inclusive.
WATER_INCIDENTS = ((93, 110), (211, 223), (329, 329), (872, 887))
# Rows without an incident between the third and the fourth: the only calm stretch that is long enough to learn from.
WATER_CALM, WATER_CALIBRATION = (345, 720), (720, 860)


def _folder(package: str, *parts: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SeriesError(
            f"the shipped series are files of the package {package}, which is not installed: pip install tierflow[demo]"
        )
    return Path(spec.origin).parent.joinpath(*parts)


def _columns(path: Path, skip: int = 1) -> list[tuple[str, ...]]:
    with path.open(newline="") as file:
        return list(zip(*itertools.islice(csv.reader(file), skip, None), strict=True))


def _numbers(column: tuple[str, ...]) -> Floats:
    return np.array(column, dtype=np.float64)


def _rows(start: int, stop: int) -> Indices:
    return np.arange(start, stop)


def pressure() -> Series:
    """Arterial pressure with one labelled anomaly of 12 points (UCR anomaly archive, InternalBleeding16)."""
    path = _folder("aeon", "datasets", "data", "KDD-TSAD_135", "135_UCR_Anomaly_InternalBleeding16_TEST.csv")
    time, value, label = _columns(path)
    split = Split(_rows(0, 900), _rows(900, 1200), _rows(1200, len(value)))
    return Series(
        "pressure", "Arterial pressure", "UCR InternalBleeding16, in aeon", "mmHg", ("pressure",), time,
        _numbers(value)[:, None], _numbers(label) > 0, "the archive's authors", split,
    )  # fmt: skip


def ecg() -> Series:
    """ECG-like beats with three labelled anomalies; made by TimeEval's generator, so no patient."""
    folder = _folder("aeon", "datasets", "data", "UnitTest")
    _, history, _ = _columns(folder / "ecg-diff-count-3_TRAIN_NA.csv")
    time, value, label = _columns(folder / "ecg-diff-count-3_TEST.csv")
    values = np.concatenate([_numbers(history), _numbers(value)])[:, None]
    labels = np.concatenate([np.zeros(len(history), dtype=bool), _numbers(label) > 0])
    times = tuple(f"history {row}" for row in range(len(history))) + time
    split = Split(_rows(0, 7000), _rows(7000, len(history)), _rows(len(history), len(values)))
    return Series(
        "ecg", "ECG", "ecg-diff-count-3 (synthetic beats, TimeEval), in aeon", "mV", ("lead",), times, values, labels,
        "the generator that made the signal", split,
    )  # fmt: skip


def water() -> Series:
    """Hourly flow of a water pipe with four incidents that the data set's author describes in words."""
    columns = _columns(_folder("river", "datasets", "water-flow.csv"))
    time, value = columns
    labels = np.zeros(len(value), dtype=bool)
    for first, last in WATER_INCIDENTS:
        labels[first : last + 1] = True
    test = np.concatenate([_rows(0, WATER_CALM[0]), _rows(WATER_CALIBRATION[1], len(value))])
    return Series(
        "water", "Water flow", "WaterFlow, in river", "l/s", ("flow",), time, _numbers(value)[:, None], labels,
        "the author's description in words; rows by our reading of it",
        Split(_rows(*WATER_CALM), _rows(*WATER_CALIBRATION), test),
        ("trained on the calm three weeks in the middle of the recording: the test is before and after them",
         "10 gaps of up to 32 hours between rows"),
    )  # fmt: skip


def wearable() -> Series:
    """Nine accelerometer channels of a wearable at 64 Hz; nobody labelled an anomaly in this recording."""
    names = ("ankle forward", "ankle vertical", "ankle lateral", "leg forward", "leg vertical", "leg lateral",
             "trunk forward", "trunk vertical", "trunk lateral")  # fmt: skip
    time, *channels, _ = _columns(_folder("aeon", "datasets", "data", "Daphnet_S06R02E0", "S06R02E0.csv"))
    values = np.column_stack([_numbers(channel) for channel in channels])
    walking = 1700  # the patient stands before this row; a model of standing still would alarm at every step
    parts = split_by_share("wearable", None, len(values) - walking)
    split = Split(parts.train + walking, parts.calibration + walking, parts.test + walking)
    return Series(
        "wearable", "Gait", "Daphnet S06R02E0, in aeon", "mg", names, time, values, None,
        "nobody: no anomaly is labelled", split,
        ("the first 1,700 rows, in which the wearer stands, are left out",),
    )  # fmt: skip


def _recordings(path: Path) -> list[tuple[Floats, str]]:
    lines = (line.strip() for line in path.read_text().splitlines() if line.strip() and line[0] not in "#@")
    cut = (line.split(":") for line in lines)
    return [(np.array([_numbers(tuple(c.split(","))) for c in channels]).T, label) for *channels, label in cut]


def watch() -> Series:
    """A smart watch's accelerometer and gyroscope: walking, with three recordings of badminton among the test ones."""
    folder = _folder("aeon", "datasets", "data", "BasicMotions")
    found = _recordings(folder / "BasicMotions_TRAIN.ts") + _recordings(folder / "BasicMotions_TEST.ts")
    walking = [values for values, label in found if label == "Walking"]
    other = [values for values, label in found if label == "Badminton"]
    test = [
        walking[12],
        other[0],
        walking[13],
        walking[14],
        other[1],
        walking[15],
        walking[16],
        other[2],
        *walking[17:],
    ]
    values = np.concatenate([*walking[:12], *test])
    length = len(walking[0])
    labels = np.zeros(len(values), dtype=bool)
    for position in (1, 4, 7):
        labels[(12 + position) * length : (13 + position) * length] = True
    names = ("acceleration x", "acceleration y", "acceleration z", "rotation x", "rotation y", "rotation z")
    times = tuple(f"{row / 10:.1f} s" for row in range(len(values)))
    split = Split(_rows(0, 9 * length), _rows(9 * length, 12 * length), _rows(12 * length, len(values)))
    return Series(
        "watch", "Smart watch", "BasicMotions, in aeon", "m/s2, rad/s", names, times, values, labels,
        "the activity each recording is filed under", split,
        ("recordings of 10 s joined one after another; badminton, never trained on, is the event",),
    )  # fmt: skip


def appliances() -> Series:
    """Power of household appliances, one device's readings after another's; no anomaly is labelled."""
    time, value = _columns(_folder("aeon", "datasets", "data", "segmentation", "ElectricDevices.csv"), skip=0)
    return Series(
        "appliances", "Appliance power", "ElectricDevices, in aeon", "standardised", ("power",), time,
        _numbers(value)[:, None], None, "nobody: no anomaly is labelled",
        split_by_share("appliances", None, len(value)),
    )  # fmt: skip


CATALOG: Mapping[str, Callable[[], Series]] = {
    make.__name__: make for make in (pressure, ecg, water, wearable, watch, appliances)
}


def load(name: str) -> Series:
    """The series of this name.

    Raises:
        SeriesError: when there is no such series, or the package that ships it is not installed.
    """
    if name not in CATALOG:
        raise SeriesError(f"there is no shipped series {name!r}; there are {', '.join(CATALOG)}")
    return CATALOG[name]()
