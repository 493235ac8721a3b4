"""The estimator in the product against the others, and the transfer formula against transfers on the rig."""

from __future__ import annotations

import csv
import statistics

import numpy as np

from benchmarks.links import RECORDED, compare
from tierflow.cost.transfer import send_time, way
from tierflow.topology import Topology, parse
from tierflow.topology.column import Value
from tierflow.topology.conditions import Conditions, LinkChange


def stream_seconds(size: float, rate: float, round_trip: float) -> float:
    """What the formula says of a path whose one slow link has this rate."""
    spec = "name: x\nhosts: rig\nnodes: [{name: a, tier: device, site: s}, {name: b, tier: cloud, site: t}]\n"
    now = Conditions.of(Topology.of(parse(spec + "links: [{from: s, to: t, rate: 1 Mbit/s, delay: 1 ms}]\n")))
    now = now.changed(links={"s->t": LinkChange(rate=Value(rate))})
    return float(send_time(size, way(now, "a"), np.full(2, round_trip)).value[now.fixed.nodes["b"]])


def test_the_products_estimator_follows_steps_best_and_pays_little_for_it() -> None:
    table = compare(seeds=5)
    for shape in ("steps", "all", "recorded"):
        errors = {name: score.error for name, score in table[shape].items()}
        assert min(errors, key=lambda name: errors[name]) == "level"
        assert table[shape]["level"].after_step < 0.10
    for shape in ("steady", "drift", "bursts"):
        assert table[shape]["level"].error < table[shape]["average"].error + 0.03


def test_the_transfer_formula_meets_what_was_recorded_on_the_rig() -> None:
    with RECORDED.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    errors = [
        abs(
            stream_seconds(float(r["size"]), 0.965 * float(r["rate"]), float(r["round_trip"])) / float(r["seconds"]) - 1
        )
        for r in rows
        if float(r["size"]) > 14_480
    ]
    assert statistics.median(errors) < 0.02
    assert sum(error < 0.10 for error in errors) >= 0.9 * len(errors)
