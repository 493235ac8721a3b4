"""The device: owns one sensor's readings, scores them with the small model, asks the edge where it is unsure."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import tierflow
from jobs.anomaly import catalog, intake
from jobs.anomaly.baselines import SeasonalNaive, ZScore
from jobs.anomaly.forecaster import AHEAD, CONTEXT, Forecaster
from jobs.anomaly.metrics import threshold
from jobs.anomaly.series import Flags, Floats, Indices, Series
from jobs.anomaly.sketch import Sketch, sketch
from jobs.anomaly.watch import keep_watch

__all__ = ["Card", "Device", "Source", "Step"]

BATCH = 32  # windows of 8 rows in one scoring call
# A window whose score, as a share of the threshold, lies between these is one that the device is unsure of.
UNSURE = (0.5, 3.0)


@dataclass(frozen=True)
class Source:
    """Where a device's readings come from: a shipped series, or a file on the device's own node.

    ``name`` tells this device's series from every other one in the run.
    """

    name: str
    shipped: str = ""
    file: Path | None = None
    time: str | None = None
    label: str | None = None

    def open(self) -> Series:
        """Read it.

        Raises:
            SeriesError: when it cannot be used.
        """
        if self.file is None:
            return replace(catalog.load(self.shipped), name=self.name)
        return replace(intake.read(self.file, time=self.time, label=self.label), name=self.name)


@dataclass(frozen=True)
class Card:
    """What a device says of its series: no reading is in it. ``raw_size`` and ``history_size`` in bytes of Arrow."""

    name: str
    title: str
    source: str
    unit: str
    channels: int
    labelled_by: str
    labelled: bool
    troubles: tuple[str, ...]
    train_rows: int
    calibration_rows: int
    test_rows: int
    season: int
    raw_size: int
    history_size: int
    steps: int


@dataclass(frozen=True)
class Step:
    """One scored batch. ``scores`` holds model, zscore, seasonal, label, asked; a score of 1 is the threshold.

    ``device_latency`` is the small model's call, ``edge_latency`` the second opinion there and back, both in seconds;
    ``sent`` is bytes of windows that went to the edge, ``windows`` and ``asked`` count windows.
    """

    scores: pa.RecordBatch
    version: int
    device_latency: float
    edge_latency: float | None
    sent: int
    windows: int
    asked: int


@tierflow.actor(num_cpus=0.1)
class Device:
    """One sensor, held to its node. Its readings leave it for the edge of its own site and for nowhere else."""

    def __init__(self, source: Source, edge: Any) -> None:
        self.source, self.edge = source, edge
        self.model: Forecaster | None = None
        self.version = 0

    def open(self) -> Card:
        """Read the series and fit the two baselines; what may be known of it elsewhere.

        Raises:
            SeriesError: when the series cannot be used.
        """
        self.series = self.source.open()
        self.steps = _cut(self.series.split.test)
        train = self.series.part(self.series.split.train)
        self.calibration = self.series.part(self.series.split.calibration)
        self.reach = max(2 * CONTEXT, SeasonalNaive.fit(train).period)
        self.baselines = (ZScore.fit(train), SeasonalNaive.fit(train))
        self.limits = tuple(threshold(method.score(train, self.calibration)) for method in self.baselines)
        return self._card()

    def _card(self) -> Card:
        series, split = self.series, self.series.split
        history = np.concatenate([split.train, split.calibration])
        return Card(
            series.name, series.title, series.source, series.unit, len(series.columns), series.labelled_by,
            series.labels is not None, series.troubles, len(split.train), len(split.calibration), len(split.test),
            self.baselines[1].period, series.raw_size, int(series.batch(history).nbytes), len(self.steps),
        )  # fmt: skip

    def send_history(self) -> None:
        """Hand the normal history to the edge of this site, where the models are trained."""
        series = self.series
        kept = self.edge.keep.remote(
            series.name, series.batch(series.split.train), series.batch(series.split.calibration)
        )
        tierflow.get(kept)

    def update(self, version: int) -> int:
        """Fetch this version of the small model from the edge and score with it from the next batch on; its bytes."""
        weights: bytes = tierflow.get(self.edge.forecaster.remote(self.series.name, version))
        self.model, self.version = Forecaster.from_bytes(weights), version
        return len(weights)

    def step(self, number: int) -> Step:
        """Score one batch of test rows."""
        if self.model is None:
            raise RuntimeError("this device has no model yet; call update first")
        rows = self.steps[number]
        before, values = self._before(int(rows[0])), self.series.part(rows)
        start = time.perf_counter()
        score = self.model.score(before, values) / self.model.threshold
        device_latency = time.perf_counter() - start
        peaks = np.maximum.reduceat(score, np.arange(0, len(score), AHEAD))
        unsure = np.flatnonzero((peaks > UNSURE[0]) & (peaks < UNSURE[1]))
        asked = np.zeros(len(peaks), dtype=bool)
        asked[unsure] = True
        edge_latency, sent = None, 0
        if len(unsure):
            batch = self._windows(before, values, unsure)
            start = time.perf_counter()
            opinion = np.asarray(tierflow.get(self.edge.review.remote(self.series.name, self.version, batch)))
            edge_latency, sent = time.perf_counter() - start, int(batch.nbytes)
            # Two opinions of equal weight: the geometric mean of both shares of a threshold.
            factor = np.ones(len(peaks))
            factor[unsure] = np.sqrt(opinion / peaks[unsure])
            score = score * np.repeat(factor, AHEAD)[: len(score)]
        scores = self._scores(rows, score, before, values, np.repeat(asked, AHEAD)[: len(score)])
        return Step(scores, self.version, device_latency, edge_latency, sent, len(peaks), int(asked.sum()))

    def greet(self, box: str) -> None:
        """Put a first record into this outbox: it has a sender from then on."""
        tierflow.Outbox(box).put({"ready": self.series.name}, key=self.series.name)

    def watch(self, box: str, site: str, seconds: float) -> None:
        """Score by itself for so many seconds, its series again and again; verdicts go into this outbox."""
        keep_watch(self.step, len(self.steps), box, self.series.name, site, seconds)

    def sketch(self) -> Sketch:
        """A drawing's worth of the test rows (lowest and highest of each of 600 columns) for the report."""
        return sketch(self.series)

    def _before(self, first: int) -> Floats:
        past = self.series.values[max(0, first - self.reach) : first]
        return (
            np.concatenate([self.calibration[-self.reach :], past])[-self.reach :] if len(past) < self.reach else past
        )

    def _windows(self, before: Floats, values: Floats, which: Indices) -> pa.RecordBatch:
        spare = np.repeat(values[-1:], -len(values) % AHEAD, axis=0)
        padded = np.concatenate([before[-CONTEXT:], values, spare])
        flat = padded[which[:, None] * AHEAD + np.arange(CONTEXT + AHEAD)].reshape(-1, values.shape[1])
        columns = [pa.array(flat[:, channel].astype(np.float32)) for channel in range(flat.shape[1])]
        return pa.record_batch(columns, names=list(self.series.columns))

    def _scores(self, rows: Indices, score: Floats, before: Floats, values: Floats, asked: Flags) -> pa.RecordBatch:
        labels = self.series.labels
        zscore, seasonal = (
            self.baselines[0].score(before, values) / self.limits[0],
            self.baselines[1].score(before, values) / self.limits[1],
        )
        label = np.zeros(len(rows), dtype=bool) if labels is None else labels[rows]
        # Half precision is enough to draw and to count, and it is what crosses the uplink for every row.
        halves = [np.minimum(one, 6e4).astype(np.float16) for one in (score, zscore, seasonal)]
        return pa.record_batch([*halves, label, asked], names=["model", "zscore", "seasonal", "label", "asked"])


def _cut(test: Indices) -> list[Indices]:
    """The test rows in batches of at most 256, none across a jump in the row numbers."""
    joined = np.concatenate([[False], np.diff(test) == 1])
    starts = np.flatnonzero(~joined)
    parts = np.split(test, starts[1:])
    return [part[at : at + BATCH * AHEAD] for part in parts for at in range(0, len(part), BATCH * AHEAD)]
