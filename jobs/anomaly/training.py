"""Training: much work without state, so tasks, which the fabric places call by call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tierflow
from jobs.anomaly.metrics import threshold
from jobs.anomaly.series import Floats

__all__ = ["Model", "Placed", "Trained", "train_larger", "train_smaller", "trained"]


@dataclass(frozen=True)
class Model:
    """A trained model as it travels: its weights, how many numbers it holds, seconds of the training."""

    weights: bytes
    parameters: int
    duration: float


@dataclass(frozen=True)
class Placed:
    """Where the fabric ran a task and why; ``predicted`` and ``observed`` are seconds from the call to its result.

    ``others`` gives of each further node the seconds predicted there, or what ruled it out. Where the fabric keeps no
    explanation there are no seconds and no others.
    """

    node: str
    why: str
    predicted: float | None = None
    observed: float | None = None
    others: tuple[tuple[str, float | str], ...] = ()

    @classmethod
    def of(cls, ref: Any) -> Placed:
        """What the fabric says of the task whose result this is; asked in the process that made the call."""
        try:
            told = tierflow.explain(ref)
        except tierflow.FabricError:
            place = tierflow.placement(ref)
            return cls(place.node, place.why)
        node = told.observed.node if told.observed and told.observed.node else told.node
        others: dict[str, float | str] = {}
        for row in told.alternatives:
            if row.node != told.node:
                others.setdefault(row.node, row.ruled_out or row.time)
        why = f"{told.why}; {told.note}" if node != told.node else told.why
        observed = told.observed.total if told.observed else None
        return cls(node, why, told.predicted, observed, tuple(others.items()))


@dataclass(frozen=True)
class Trained:
    """A version of a model: ``size`` in bytes, ``duration`` of the training in seconds."""

    name: str
    version: int
    parameters: int
    size: int
    duration: float
    placed: Placed


@tierflow.task(num_cpus=0.5, stay="site", releases="model weights")
def train_smaller(train: Floats, calibration: Floats, seed: int, steps: int) -> Model:
    """Train a device's model on its normal history, both (rows, channels): raw readings, so it stays in the site.

    What leaves it are the weights, and the audit log says so.
    """
    from jobs.anomaly import forecaster

    start = time.perf_counter()
    model = forecaster.train(train, seed=seed, steps=steps)
    model.threshold = threshold(model.score(train, calibration))
    return Model(model.to_bytes(), model.parameters, time.perf_counter() - start)


@tierflow.task(num_cpus=0.5)
def train_larger(summaries: Mapping[str, Floats], seed: int, steps: int) -> Model:
    """Train the larger model on released summaries, {name: (windows, 34)}: they may go anywhere."""
    from jobs.anomaly import reviewer

    start = time.perf_counter()
    model = reviewer.train(summaries, seed=seed, steps=steps)
    return Model(model.to_bytes(), model.parameters, time.perf_counter() - start)


def trained(name: str, version: int, training: Any) -> tuple[Trained, bytes]:
    """Wait for a training that was called in this process: what is to be told of it, and the weights."""
    model: Model = tierflow.get(training)
    size = len(model.weights)
    return Trained(name, version, model.parameters, size, model.duration, Placed.of(training)), model.weights
