"""The edge of a site: keeps its devices' history, has their small models trained, gives second opinions."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pyarrow as pa

import tierflow
from jobs.anomaly import summary
from jobs.anomaly.forecaster import AHEAD, CONTEXT, Scaling, cut_windows
from jobs.anomaly.metrics import threshold
from jobs.anomaly.reviewer import Reviewer
from jobs.anomaly.series import Floats, values_of
from jobs.anomaly.training import Trained, train_smaller, trained

__all__ = ["Edge"]


@tierflow.actor(num_cpus=0.5, max_concurrency=64)
class Edge:
    """One site's small server, held to the site. Histories stay in it; weights and released summaries leave it."""

    def __init__(self, site: str, cloud: Any, seed: int) -> None:
        self.site, self.cloud, self.seed = site, cloud, seed
        self.history: dict[str, tuple[Floats, Floats]] = {}
        self.scaling: dict[str, Scaling] = {}
        self.weights: dict[tuple[str, int], bytes] = {}
        self.reviewers: dict[int, tuple[Reviewer, dict[str, float]]] = {}
        self.asked = 0
        # One training at a time: several would only slow the second opinions that devices are waiting for.
        self.turn = threading.Lock()

    def keep(self, name: str, train: pa.RecordBatch, calibration: pa.RecordBatch) -> None:
        """Keep a device's normal history in this site."""
        self.history[name] = (values_of(train), values_of(calibration))
        self.scaling[name] = Scaling.fit(self.history[name][0])

    def train(self, name: str, version: int, steps: int) -> Trained:
        """Have a version of the small model of one device trained, and lodge its weights with the cloud."""
        with self.turn:
            training = train_smaller.remote(*self.history[name], self.seed, steps)
            told, weights = trained(name, version, training)
        self.weights[name, version] = weights
        tierflow.get(self.cloud.register.remote(name, version, weights))
        return told

    def forecaster(self, name: str, version: int) -> bytes:
        """The weights of a version, for the device."""
        return self.weights[name, version]

    def release(self, name: str) -> pa.RecordBatch:
        """What the policy lets out of a device's training history: shuffled 8-bit summaries."""
        return summary.release(self._summaries(name, self.history[name][0], AHEAD), self.seed)

    def adopt(self, version: int, weights: bytes) -> None:
        """Take in a version of the larger model, with limits found on calibration rows."""
        model = Reviewer.from_bytes(weights)
        limits = {}
        for name, (train, calibration) in self.history.items():
            rows = np.concatenate([train[-CONTEXT:], calibration])
            limits[name] = threshold(model.score(name, self._summaries(name, rows, AHEAD // 2)))
        self.reviewers[version] = (model, limits)

    def review(self, name: str, version: int, batch: pa.RecordBatch) -> Floats:
        """A second opinion by a version of the larger model: shares of the threshold, one a window.

        ``batch`` holds windows of 40 raw rows, one after another.
        """
        model, limits = self.reviewers[version]
        values = np.column_stack([column.to_numpy() for column in batch.columns]).astype(np.float64)
        windows = self.scaling[name].apply(values).reshape(-1, CONTEXT + AHEAD, values.shape[1])
        self.asked += len(windows)
        return np.asarray(model.score(name, summary.summarise(windows)) / limits[name])

    def report_in(self) -> float:
        """Tell the cloud how many windows were reviewed; the round trip in seconds."""
        start = time.perf_counter()
        tierflow.get(self.cloud.note.remote(self.site, self.asked))
        return time.perf_counter() - start

    def _summaries(self, name: str, rows: Floats, stride: int) -> Floats:
        return summary.summarise(cut_windows(self.scaling[name].apply(rows), stride))
