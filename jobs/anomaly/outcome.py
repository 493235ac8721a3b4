"""What a run found, as plain values: the tables and the report are drawn from this and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.anomaly.cloud import Version
from jobs.anomaly.device import Card, Step
from jobs.anomaly.metrics import Tally, tally
from jobs.anomaly.series import Flags, Floats
from jobs.anomaly.sketch import Sketch
from jobs.anomaly.traffic import Link
from jobs.anomaly.training import Trained
from jobs.anomaly.watch import Watch

__all__ = ["METHODS", "Actor", "Latency", "Outcome", "Payload", "Scored"]

METHODS: Mapping[str, str] = {"model": "tierflow models", "zscore": "z-score", "seasonal": "seasonal-naive"}


@dataclass(frozen=True)
class Actor:
    """Where an actor ran and why."""

    role: str
    node: str
    tier: str
    site: str
    why: str


@dataclass(frozen=True)
class Payload:
    """Bytes that the job itself handed over, headers not included."""

    what: str
    source: str
    target: str
    size: int


@dataclass(frozen=True)
class Latency:
    """Calls of one kind: ``median`` and ``p99`` in seconds."""

    tier: str
    what: str
    calls: int
    median: float
    p99: float

    @classmethod
    def of(cls, tier: str, what: str, durations: Sequence[float]) -> Latency:
        """From each call's duration, in seconds; at least one."""
        return cls(tier, what, len(durations), float(np.median(durations)), float(np.percentile(durations, 99)))


@dataclass(frozen=True)
class Scored:
    """One series after scoring: shares of the threshold of each method, (rows,), and what they add up to."""

    card: Card
    scores: Mapping[str, Floats]
    labels: Flags
    asked: Flags
    versions: Mapping[int, int]
    sketch: Sketch | None

    @classmethod
    def of(cls, card: Card, steps: Sequence[Step], sketch: Sketch | None) -> Scored:
        """Join a device's batches, in order."""

        def column(name: str) -> Floats:
            parts = [step.scores.column(name).to_numpy(zero_copy_only=False) for step in steps]
            return np.concatenate([np.empty(0), *parts])

        versions: dict[int, int] = {}
        for step in steps:
            versions[step.version] = versions.get(step.version, 0) + step.windows
        scores = {method: column(method) for method in METHODS}
        return cls(card, scores, column("label") > 0, column("asked") > 0, versions, sketch)

    def tally(self, method: str) -> Tally:
        """How this method did."""
        return tally(self.scores[method] > 1, self.labels if self.card.labelled else None)


@dataclass(frozen=True)
class Outcome:
    """A whole run. ``links`` is None where they are not shaped; ``raw_size`` is bytes of every reading as Arrow;
    ``duration`` in seconds.
    """

    seed: int
    series: tuple[Scored, ...]
    actors: tuple[Actor, ...]
    latencies: tuple[Latency, ...]
    payloads: tuple[Payload, ...]
    links: tuple[Link, ...] | None
    raw_size: int
    trained: tuple[Trained, ...]
    versions: tuple[Version, ...]
    duration: float
    stopped: bool = False
    watch: Watch | None = None

    def found(self, method: str) -> tuple[int, int, int]:
        """Events found, events labelled, separate false alarms, over the labelled series."""
        tallies = [one.tally(method) for one in self.series if one.card.labelled]
        return sum(t.found for t in tallies), sum(t.events for t in tallies), sum(t.false_alarms for t in tallies)

    @property
    def to_cloud(self) -> int:
        """Bytes of the job's payloads that went to the cloud."""
        return sum(payload.size for payload in self.payloads if payload.target == "cloud")
