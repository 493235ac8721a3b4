"""The cloud: has the larger model trained on what the sites release, and keeps every version of every model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pyarrow as pa

import tierflow
from jobs.anomaly.series import Floats
from jobs.anomaly.summary import released
from jobs.anomaly.training import Trained, train_larger, trained

__all__ = ["LARGER", "Cloud", "Version"]

LARGER = "larger model"


@dataclass(frozen=True)
class Version:
    """An entry of the register: ``size`` in bytes, ``digest`` the first 12 hex digits of the weights' SHA-256."""

    model: str
    number: int
    size: int
    digest: str


@tierflow.actor(num_cpus=0.5, max_concurrency=4)
class Cloud:
    """One for the fabric. It never holds a reading, so it may be anywhere: the fabric finds the node."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.released: dict[str, Floats] = {}
        self.kept: dict[tuple[str, int], bytes] = {}
        self.reviewed: dict[str, int] = {}

    def register(self, model: str, number: int, weights: bytes) -> Version:
        """Keep a version."""
        self.kept[model, number] = weights
        return Version(model, number, len(weights), hashlib.sha256(weights).hexdigest()[:12])

    def collect(self, name: str, batch: pa.RecordBatch) -> int:
        """Take a site's released summaries of one series; how many bytes they are."""
        self.released[name] = released(batch)
        return int(batch.nbytes)

    def train(self, version: int, steps: int) -> Trained:
        """Have a version of the larger model trained on everything released so far."""
        told, weights = trained(LARGER, version, train_larger.remote(self.released, self.seed, steps))
        self.register(LARGER, version, weights)
        return told

    def weights(self, model: str, number: int) -> bytes:
        """The weights of a version."""
        return self.kept[model, number]

    def versions(self) -> list[Version]:
        """Everything in the register."""
        return [
            Version(model, number, len(weights), hashlib.sha256(weights).hexdigest()[:12])
            for (model, number), weights in sorted(self.kept.items())
        ]

    def note(self, site: str, asked: int) -> None:
        """Keep how many windows a site has reviewed."""
        self.reviewed[site] = asked
