"""What runs on the campus in E1: sensors that ask the server of their building, and report to the cloud.

Each sensor scores a batch of readings, asks the edge of its building for a second opinion, as `jobs/sensor_anomaly.py`
does, and has a record for the cloud. What they note down (calls, records) goes to files of the machine that measures:
nothing of the fabric rests on it, and it outlives an actor that is ended.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray

import tierflow
from tierflow.control.outbox import Failed, Renew, RolledBack, Send, Sending, Settle, Taken, Waiting, step
from tierflow.errors import TierflowError
from tierflow.runtime.durable.inbox import Answer, Batch, InboxStore
from tierflow.runtime.durable.outbox import OutboxStore

__all__ = ["PERIOD", "Collector", "Inbox", "Reviewer", "Sensor"]

PERIOD = 0.5
"""Seconds between two batches of a sensor."""
ROWS, CHANNELS = 256, 4
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


class Inbox:
    """The cloud as tierflow has it: batches, each record once."""

    def __init__(self, folder: str) -> None:
        self._file = Path(folder) / "applied"
        self._store = InboxStore(Path(folder) / "inbox")
        self._noted = 0

    def take(self, batch: Batch) -> Answer:
        """Apply what is new of a batch."""
        answer = self._store.take(batch)
        for record in self._store.read(self._noted, 100_000):
            note(self._file, record.value.decode())
            self._noted = record.number
        return answer


class Sensor:
    """A sensor at its node. `ours` says how it asks and reports: by tierflow and an outbox, or by plain Ray."""

    def __init__(self, name: str, folder: str, edge: Any, cloud: Any, ours: bool) -> None:
        self._name, self._folder, self._edge = name, Path(folder), edge
        self._get: Callable[..., Any] = tierflow.get if ours else ray.get
        self._report = _Outbox(name, self._folder, cloud).put if ours else cloud.take.remote
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


class _Outbox:
    """Records that wait for the uplink, on the sensor's disk, and the thread that sends them."""

    def __init__(self, name: str, folder: Path, inbox: Any) -> None:
        self._name, self._inbox = name, inbox
        self._store = OutboxStore(folder / f"outbox-{name}", when_full="refuse")
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, record: str) -> None:
        """Keep a record."""
        self._store.put(record.encode(), self._name, 0)

    def _run(self) -> None:
        state, rng = Sending(), random.Random(self._name)
        while True:
            plan = self._store.plan()
            state, actions = step(state, Waiting(plan.rows), time.monotonic())
            for action in actions:
                if isinstance(action, Send):
                    records = tuple(self._store.read(action.seqs))
                    batch = Batch(self._name, plan.birth, plan.floor, plan.last, records)
                    state = self._sent(state, batch, action.patience, rng)
            time.sleep(0.25)

    def _sent(self, state: Sending, batch: Batch, patience: float, rng: random.Random) -> Sending:
        try:
            answer = tierflow.get(self._inbox.take.remote(batch), timeout=patience)
        except (ray.exceptions.RayError, TierflowError) as error:
            late = isinstance(error, ray.exceptions.GetTimeoutError)
            return step(state, Failed(rng.random(), late), time.monotonic())[0]
        state, actions = step(state, RolledBack() if answer.rolled_back else Taken(), time.monotonic())
        for action in actions:
            if isinstance(action, Settle):
                self._store.settle(batch.birth, action.seqs)
            elif isinstance(action, Renew):
                self._store.renew()
        return state


def note(file: Path, what: str) -> None:
    """Add a line with the time."""
    with file.open("a") as opened:
        opened.write(f"{time.monotonic()} {what}\n")
