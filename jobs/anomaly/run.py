"""The run: train in the sites, release to the cloud, score on the devices, push new versions while scoring goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tierflow
from jobs.anomaly.device import Card, Source, Step
from jobs.anomaly.fleet import Fleet, posts
from jobs.anomaly.outcome import Latency, Outcome, Payload, Scored
from jobs.anomaly.traffic import Meter
from jobs.anomaly.training import Trained
from jobs.anomaly.watch import Watch, start

__all__ = ["Tell", "run"]

# Optimiser steps of the first version, which lets scoring begin soon, and of the second, which is trained meanwhile.
FIRST, SECOND = 150, 500
REPORT_EVERY = 4
PAUSE = 0.2
"""Seconds between two looks at whether a link is back."""

# tell(stage, done, all): how the run gets on
Tell = Callable[[str, int, int], None]


@dataclass
class Ledger:
    """What is noted down while the run goes on."""

    cards: dict[str, Card] = field(default_factory=dict)
    steps: dict[str, list[Step]] = field(default_factory=dict)
    trained: list[Trained] = field(default_factory=list)
    payloads: list[Payload] = field(default_factory=list)
    cloud_calls: list[float] = field(default_factory=list)

    def paid(self, what: str, source: str, target: str, size: int) -> None:
        """Note bytes that were handed over."""
        self.payloads.append(Payload(what, source, target, size))


def run(given: Sequence[Source], *, seed: int, tell: Tell, drawings: bool = True, watch: float = 0.0) -> Outcome:
    """Run the job on the fabric this process belongs to; ends early and complete on Ctrl-C once scoring has begun.

    With ``watch`` the devices go on by themselves for so many seconds when all is scored.

    Raises:
        SeriesError: when the fabric has no device, or a series cannot be used.
    """
    began, meter = time.monotonic(), Meter()
    where = posts(tierflow.nodes(), given)
    tell("actors", 0, 1)
    fleet, ledger = Fleet.start(where, seed), Ledger()
    opening = {name: device.open.remote() for name, device in fleet.devices.items()}
    ledger.cards = {name: tierflow.get(card) for name, card in opening.items()}
    tell("actors", 1, 1)
    _prepare(fleet, ledger, tell)
    stopped = _score(fleet, ledger, tell)
    watched = _watch(fleet, watch, tell) if watch and not stopped else None
    sketches = {name: tierflow.get(d.sketch.remote()) for name, d in fleet.devices.items()} if drawings else {}
    latencies = [Latency.of("device", "score a batch of 32 windows", [s.device_latency for s in _all(ledger)] or [0.0])]
    asked = [step.edge_latency for step in _all(ledger) if step.edge_latency is not None]
    latencies += [Latency.of("edge", "second opinion, there and back", asked)] if asked else []
    latencies += (
        [Latency.of("cloud", "edge reports in, there and back", ledger.cloud_calls)] if ledger.cloud_calls else []
    )
    _settle(ledger, sketches)
    actors = fleet.actors()
    scored = tuple(Scored.of(card, ledger.steps[name], sketches.get(name)) for name, card in ledger.cards.items())
    return Outcome(
        seed=seed,
        series=scored,
        actors=actors,
        latencies=tuple(latencies),
        payloads=_sum(ledger.payloads),
        links=meter.read([(post.node, ledger.cards[post.source.name].raw_size) for post in where], actors[0].node),
        raw_size=sum(card.raw_size for card in ledger.cards.values()),
        trained=tuple(ledger.trained),
        versions=tuple(tierflow.get(fleet.cloud.versions.remote())),
        duration=time.monotonic() - began,
        stopped=stopped,
        watch=watched,
    )


def _all(ledger: Ledger) -> list[Step]:
    return [step for steps in ledger.steps.values() for step in steps]


def _train(fleet: Fleet, ledger: Ledger, version: int, steps: int) -> dict[str, Any]:
    """Ask every edge for a version of each of its devices' models: {series: reference}."""
    return {name: fleet.edge_of(name).train.remote(name, version, steps) for name in ledger.cards}


def _prepare(fleet: Fleet, ledger: Ledger, tell: Tell) -> None:
    tierflow.get([device.send_history.remote() for device in fleet.devices.values()])
    for card in ledger.cards.values():
        ledger.paid("normal history, raw", "device", "edge", card.history_size)
    released = []
    for done, (name, training) in enumerate(_train(fleet, ledger, 1, FIRST).items()):
        tell("train version 1 in the sites", done, len(ledger.cards))
        _note(fleet, ledger, tierflow.get(training))
        batch = fleet.edge_of(name).release.remote(name)
        released.append(fleet.cloud.collect.remote(name, batch))
    for size in tierflow.get(released):
        ledger.paid("released summaries, 8 bits", "edge", "cloud", size)
    tell("train version 1 in the sites", len(ledger.cards), len(ledger.cards))
    tell("train the larger model", 0, 1)
    _adopt(fleet, ledger, tierflow.get(fleet.cloud.train.remote(1, FIRST)))
    tell("train the larger model", 1, 1)
    _update(fleet, ledger, list(fleet.devices), 1)


def _note(fleet: Fleet, ledger: Ledger, trained: Trained) -> None:
    ledger.trained.append(trained)
    ledger.paid("small models' weights", "edge", "cloud", trained.size)


def _adopt(fleet: Fleet, ledger: Ledger, trained: Trained) -> None:
    """Push a version of the larger model down to every edge."""
    ledger.trained.append(trained)
    weights = fleet.cloud.weights.remote(trained.name, trained.version)
    tierflow.get([edge.adopt.remote(trained.version, weights) for edge in fleet.edges.values()])
    ledger.paid("larger model's weights", "cloud", "edge", trained.size * len(fleet.edges))


def _update(fleet: Fleet, ledger: Ledger, names: Sequence[str], version: int) -> None:
    """Push a version of the small model down to these devices."""
    for size in tierflow.get([fleet.devices[name].update.remote(version) for name in names]):
        ledger.paid("small models' weights", "edge", "device", size)


class _Second:
    """The second versions: trained while scoring goes on, taken up by each device half way through its series.

    Where a device takes it up is fixed, not left to the clock, so that a run is the same for the same seed; a device
    that gets there before its model is trained waits for it.
    """

    def __init__(self, fleet: Fleet, ledger: Ledger) -> None:
        self.fleet, self.ledger = fleet, ledger
        self.training = _train(fleet, ledger, 2, SECOND)
        self.larger = fleet.cloud.train.remote(2, SECOND)
        self.adopted = False

    def take_up(self, name: str) -> None:
        """Push the second versions down to this device."""
        if not self.adopted:
            _adopt(self.fleet, self.ledger, tierflow.get(self.larger))
            self.adopted = True
        _note(self.fleet, self.ledger, tierflow.get(self.training[name]))
        _update(self.fleet, self.ledger, [name], 2)


def _score(fleet: Fleet, ledger: Ledger, tell: Tell) -> bool:
    """Score every batch of every device, one at a time on each; true when the user stopped it."""
    ledger.steps = {name: [] for name in ledger.cards}
    total = sum(card.steps for card in ledger.cards.values())
    pending: dict[Any, str] = {}
    done = 0
    try:
        second = _Second(fleet, ledger)
        pending = {device.step.remote(0): name for name, device in fleet.devices.items()}
        while pending:
            ready, _ = tierflow.wait(list(pending), num_returns=1)
            try:
                step = tierflow.get(ready[0])
            except tierflow.Cut:  # its device goes on, and the step is here when the link is back
                pending[ready[0]] = pending.pop(ready[0])  # and so that others have their turn
                time.sleep(PAUSE)
                continue
            name = pending.pop(ready[0])
            ledger.steps[name].append(step)
            done += 1
            tell("score on the devices", done, total)
            number, steps = len(ledger.steps[name]), ledger.cards[name].steps
            if number == max(1, steps // 2) and number < steps:
                second.take_up(name)
            if number < steps:
                pending[fleet.devices[name].step.remote(number)] = name
            if done % REPORT_EVERY == 0:
                ledger.cloud_calls.append(tierflow.get(fleet.edge_of(name).report_in.remote()))
    except KeyboardInterrupt:
        return True
    return False


def _watch(fleet: Fleet, seconds: float, tell: Tell) -> Watch:
    """Let the devices watch by themselves, each with the model that it has."""
    sites = {post.source.name: post.site for post in fleet.posts}
    devices = {name: (device, sites[name]) for name, device in fleet.devices.items()}
    return start(devices, seconds, lambda gone: tell("watch (s)", int(gone), int(seconds)))


def _settle(ledger: Ledger, sketches: dict[str, Any]) -> None:
    for step in _all(ledger):
        if step.sent:
            ledger.paid("unsure windows, raw", "device", "edge", step.sent)
        ledger.paid("scores and labels", "device", "cloud", int(step.scores.nbytes))
    for sketch in sketches.values():
        ledger.paid("drawings for the report", "device", "cloud", int(sketch.low.nbytes + sketch.high.nbytes))


def _sum(payloads: Sequence[Payload]) -> tuple[Payload, ...]:
    sizes: dict[tuple[str, str, str], int] = {}
    for one in payloads:
        key = (one.what, one.source, one.target)
        sizes[key] = sizes.get(key, 0) + one.size
    return tuple(Payload(*key, size) for key, size in sizes.items())
