"""What runs on the campus in E1: sensors that ask the server of their building, and report to the cloud.

Each sensor scores a batch of readings, asks the edge of its building for a second opinion, as `jobs/sensor_anomaly.py`
does, and has a record for the cloud. What they note down (calls, records) goes to files of the machine that measures:
nothing of the fabric rests on it, and it outlives an actor that is ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray

import tierflow
from tierflow.errors import TierflowError

__all__ = ["PERIOD", "Collector", "Reviewer", "Sensor", "Watcher"]

PERIOD = 0.5
"""Seconds between two batches of a sensor."""
ROWS, CHANNELS = 256, 4
BOX, LOOK = "readings", 0.25
"""The outboxes' name, and seconds between two looks into the inbox."""
PATIENCE = 5.0
"""Seconds after which a local call is given up."""


class Reviewer:
    """The edge of a building: second opinions."""

    def __init__(self) -> None:
        self._scale = np.linspace(0.5, 1.5, CHANNELS)

    def review(self, batch: Any) -> Any:
        """The share of a threshold that each row has."""
        return np.abs(batch * self._scale).max(axis=1) / 3.0


class Collector:
    """The cloud as plain Ray has it: a call for each record."""

    def __init__(self, folder: str) -> None:
        self._file = Path(folder) / "applied"

    def take(self, record: str) -> None:
        """Apply a record."""
        note(self._file, record)


class Watcher:
    """Notes down when each record is in the inbox: in its order, so a second application of one would show."""

    def __init__(self, folder: str) -> None:
        self._file, self._inbox, self._after = Path(folder) / "applied", tierflow.Inbox(BOX), 0
        threading.Thread(target=self._run, daemon=True).start()

    def ready(self) -> None:
        """Return once it runs."""

    def _run(self) -> None:
        while True:
            for record in self._inbox.read(self._after):
                note(self._file, record.value)
                self._after = record.number
            time.sleep(LOOK)


class Sensor:
    """A sensor at its node. `ours` says how it asks and reports: by tierflow and an outbox, or by plain Ray."""

    def __init__(self, name: str, folder: str, edge: Any, cloud: Any, ours: bool) -> None:
        self._name, self._folder, self._edge = name, Path(folder), edge
        self._get: Callable[..., Any] = tierflow.get if ours else ray.get
        self._report: Callable[[str], object] = (
            partial(tierflow.Outbox(BOX, when_full="refuse").put, key=name) if ours else cloud.take.remote
        )
        self._rng = np.random.default_rng(len(name))
        threading.Thread(target=self._run, daemon=True).start()

    def ready(self) -> None:
        """Return once it runs."""

    def _run(self) -> None:
        made = self._folder / f"made-{self._name}"
        number = len(made.read_text().splitlines()) if made.exists() else 0
        due = time.monotonic()
        while True:
            time.sleep(max(due - time.monotonic(), 0.0))
            due = max(due + PERIOD, time.monotonic())
            batch = self._rng.normal(size=(ROWS, CHANNELS)).astype(np.float32)
            score = np.abs(batch - batch.mean(axis=0)).max(axis=1)
            began = time.monotonic()
            try:
                opinion = self._get(self._edge.review.remote(batch), timeout=PATIENCE)
                said = f"{np.sqrt(score * opinion).max():.3f}"
            except (ray.exceptions.RayError, TierflowError) as error:
                said = type(error).__name__
            note(self._folder / f"calls-{self._name}", f"{began} {time.monotonic() - began} {said}")
            number += 1
            record = f"{self._name}-{number}"
            self._report(record)
            note(made, record)


def note(file: Path, what: str) -> None:
    """Add a line with the time."""
    with file.open("a") as opened:
        opened.write(f"{time.monotonic()} {what}\n")
