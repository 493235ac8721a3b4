"""How fast a node computes, relative to a node of speed 1: measured once for each kind of hardware."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tierflow.errors import FabricError
from tierflow.runtime.cache import keep, speeds_file
from tierflow.runtime.hardware import Device, Hardware
from tierflow.topology.column import Source, Value

__all__ = ["Measured", "measure", "measured", "remember"]

LEAST_DOUBT = 0.02
"""The deviation of a speed as a share of it, at the least: the same node measured on another day."""
PATIENCE = 300.0
"""Seconds that a measurement may take: a weak node needs most of a minute to load torch."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A node's speed (1: see `tierflow.runtime.kernels`) and the devices besides its CPU that torch found."""

    speed: Value
    devices: tuple[Device, ...]


def measured(hardware: Hardware, file: Path | None = None) -> Measured:
    """The speed of this node, whose hardware is given: from the cache `file`, else measured and written there.

    A cache that cannot be read is as good as none; one that cannot be written costs only the next measurement.

    Raises:
        FabricError: it was not known, and the measurement failed.
    """
    file = file or speeds_file()
    known = _read(file)
    if hardware.key in known:
        with suppress(ValueError, TypeError, KeyError):
            return _from_plain(known[hardware.key])
    found = measure()
    remember(hardware, found, file)
    return found


def remember(hardware: Hardware, found: Measured, file: Path | None = None) -> None:
    """Write a speed into the cache, beside those of other hardware."""
    file = file or speeds_file()
    with suppress(OSError):
        keep(file, json.dumps(_read(file) | {hardware.key: _plain(found)}, indent=1))


def measure() -> Measured:
    """Measure now, in a process of its own that ends: about a second of one core, and torch's import.

    The best pass is the node's speed, for whatever else ran can only have slowed a pass down; how far the median pass
    is from it is the doubt.

    Raises:
        FabricError: the process ended without a result.
    """
    command = [sys.executable, "-m", "tierflow.runtime.kernels"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        said = json.loads(done.stdout.splitlines()[-1])
        speeds, devices = [float(speed) for speed in said["speeds"]], said["devices"]
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, KeyError) as error:
        words = getattr(error, "stderr", None) or str(error).encode()
        last = words.decode(errors="replace").strip().splitlines()[-1:]
        raise FabricError(
            f"the speed of this node cannot be measured ({' '.join(last)})",
            "see that numpy and torch can be imported here, or declare the node's speed in the cluster file",
        ) from error
    best = max(speeds)
    doubt = max(best - statistics.median(speeds), LEAST_DOUBT * best)
    return Measured(Value(best, doubt, Source.MEASURED), tuple(Device(name, memory) for name, memory in devices))


def _plain(found: Measured) -> dict[str, object]:
    devices = [[device.name, device.memory] for device in found.devices]
    return {"speed": found.speed.value, "deviation": found.speed.deviation, "devices": devices}


def _from_plain(row: dict[str, object]) -> Measured:
    """Raises `ValueError`, `TypeError` or `KeyError` where the row is no such thing."""
    speed, deviation, devices = row["speed"], row["deviation"], row["devices"]
    if not isinstance(speed, float) or not isinstance(deviation, float) or not isinstance(devices, list):
        raise TypeError(row)
    if not 0 < speed < float("inf") or not 0 <= deviation < float("inf"):
        raise ValueError(row)
    return Measured(Value(speed, deviation, Source.MEASURED), tuple(Device(str(n), int(m)) for n, m in devices))


def _read(file: Path) -> dict[str, dict[str, object]]:
    with suppress(OSError, ValueError):
        known = json.loads(file.read_text())
        if isinstance(known, dict):
            return known
    return {}
