"""D1: the end-to-end time that was predicted before a call against the time it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from benchmarks.driven import demo, running
from benchmarks.forecasts import Last, Observed, Regression, errors, share_within, spread
from benchmarks.measure import interval
from benchmarks.placement import CALLER, busiest
from benchmarks.result import Figure, Result, commit, machine, today
from benchmarks.shapes import SHAPES
from benchmarks.uplink import CONDITIONS, figures, measured, named
from tierflow.topology import ClusterSpec

__all__ = ["run"]

NODES = ("cam-1", "gw-1", "cloud-1")
WITHIN, BAR = 0.10, 0.90
WARM = 2
Clock = Literal["seen", "seconds"]
OURS, REGRESSION, LAST, SAME = "tierflow", "regression", "last of the function", "last of the cell"


def run(*, quick: bool) -> Result:
    """Hold calls from the demo's first camera to each of its nodes in turn, under every condition of the uplink."""
    repeats = 7
    spec = demo("d1", without=("cam-2", "cam-3"))
    conditions = CONDITIONS[1:2] if quick else CONDITIONS
    names = [uplink.name for uplink in conditions]
    with running(spec, "D1") as fabric:
        links = figures(measured(fabric, conditions))
        found = fabric.drive(CALLER, "benchmarks.prediction_driver", names, NODES, repeats, WARM, timeout=7200)
        links += busiest(fabric)
    return result(found, spec, links, repeats)


def observed(row: dict[str, Any], spec: ClusterSpec, clock: Clock) -> Observed:
    """A row of the driver as the baselines take it: with what the cluster file and the asked uplink declare.

    The time is what the fabric saw ("seen": from the call until its end was known to the caller), or what the caller's
    own clock says ("seconds": until it had the value). Where the fabric saw nothing, it is the latter.
    """
    shape, uplink = SHAPES[row["function"]], named(row["condition"])
    node = next(node for node in spec.nodes if node.name == row["node"])
    radio = next(link for link in spec.links if link.source == CALLER)
    path = {CALLER: [], "gw-1": [(radio.rate, radio.delay)]}.get(
        node.name, [(radio.rate, radio.delay), (uplink.rate, uplink.delay)]
    )
    return Observed(
        f"{row['function']} of {row['size']} on {node.name} at {row['condition']}",
        row["function"],
        node.name,
        shape.operations * row["size"] / (node.cpu_quota or 1.0) / 1e10,
        shape.bytes_each * row["size"] / min((rate for rate, _ in path), default=float("inf")),
        2 * sum(delay for _, delay in path),
        row[clock] if np.isfinite(row[clock]) else row["seconds"],
        row["predicted"],
    )


def predictions(
    rows: Sequence[dict[str, Any]], spec: ClusterSpec, clock: Clock = "seen"
) -> tuple[list[Observed], dict[str, list[float]]]:
    """The calls that count, and what each side said of them before they were made.

    The regression is fitted on all warm-up rounds of all conditions at once, which is more than anyone has at the
    first; the last times are kept up call by call, as the fabric's own profiles are.
    """
    calls = [observed(row, spec, clock) for row in rows]
    counts = [bool(row["counts"]) for row in rows]
    line = Regression.fitted([call for call, count in zip(calls, counts, strict=True) if not count])
    lasts = {LAST: Last(lambda call: (call.function, call.node)), SAME: Last(lambda call: call.cell)}
    said: dict[str, list[float]] = {side: [] for side in (OURS, REGRESSION, *lasts)}
    for call, count in zip(calls, counts, strict=True):
        if count:
            said[OURS].append(call.predicted)
            said[REGRESSION].append(line.predict(call))
            for side, last in lasts.items():
                said[side].append(last.predict(call))
        for last in lasts.values():
            last.observe(call)
    return [call for call, count in zip(calls, counts, strict=True) if count], said


def result(rows: Sequence[dict[str, Any]], spec: ClusterSpec, links: Sequence[Figure], repeats: int) -> Result:
    """The figures, against the bar."""
    calls, said = predictions(rows, spec)
    off = {side: errors(values, calls) for side, values in said.items()}
    floor = spread(calls)
    ours = share_within(list(off[OURS].values()), WITHIN)
    theirs, told = predictions(rows, spec, "seconds")
    until_value = share_within(list(errors(told[OURS], theirs).values()), WITHIN)
    lost = sum(row["ran"] != row["node"] for row in rows)
    return Result(
        id="D1",
        title="Prediction: end-to-end time predicted before the call against the time it took",
        command="python -m benchmarks D1",
        commit=commit(),
        machine=machine(),
        date=today(),
        repeats=repeats,
        seeds=(0,),
        baseline="a regression time = a + b operations/speed + c bytes/rate + d round trip of what is declared, "
        "fitted on the warm-up; the last time of the function on that node, with the declared time of its bytes",
        figures=(
            *_shares(off, floor),
            Figure.of("tierflow, time until the caller has the value: cells within 10 %", until_value.scaled(100), "%"),
            *_cells(calls, said),
            *links,
        ),
        bar=f">= {BAR:.0%} of cells within {WITHIN:.0%}",
        met=ours.value >= BAR,
        notes=(
            f"{len(floor)} cells: functions x sizes (counts of frames or readings) x nodes x conditions of the "
            "uplink; in each round every cell is called once, in a drawn order, with a new input; the first "
            f"{WARM} rounds of each condition do not count.",
            "Predicted and observed are those of tierflow.explain: from the call until the caller knows of its end; "
            "until it has the value in hand a weak device takes some milliseconds more. A cell's error is the median "
            "over its calls of how far each is off its own prediction.",
            "The floor is the median distance of a cell's calls from their own median: no prediction can be nearer to "
            "single calls. 'Last of the cell' knows the same size under the same link; it is what repeating predicts.",
            f"Calls that ran on another node than they were held to: {lost}.",
            "clusters/demo.yaml without cam-2 and cam-3; the caller is on cam-1, which has .2 of a core for it and for "
            "the calls that run there.",
        ),
    )


def _shares(off: dict[str, dict[str, float]], floor: dict[str, float]) -> list[Figure]:
    found = []
    for side, cells in off.items():
        values = list(cells.values())
        within = share_within(values, WITHIN)
        found.append(Figure.of(f"{side}: cells within 10 %", within.scaled(100), "%"))
        found.append(Figure.of(f"{side}: error of a cell", interval(values).scaled(100), "%"))
    for side in (REGRESSION, LAST):
        ratios = np.array(list(off[side].values())) / np.maximum(list(off[OURS].values()), 1e-3)
        found.append(Figure.of(f"error of a cell, {side}: over tierflow's", interval(ratios.tolist()), "x"))
    found.append(
        Figure.of("floor: distance of a call from its cell's median", interval(list(floor.values())).scaled(100), "%")
    )
    return found


def _cells(calls: Sequence[Observed], said: dict[str, list[float]]) -> list[Figure]:
    found = []
    for cell in dict.fromkeys(call.cell for call in calls):
        mine = [at for at, call in enumerate(calls) if call.cell == cell]
        found.append(Figure.of(f"{cell}: observed", interval([calls[at].seconds for at in mine]), "s"))
        predicted = [said[OURS][at] for at in mine if np.isfinite(said[OURS][at])]
        if predicted:
            found.append(Figure.of(f"{cell}: predicted", interval(predicted), "s"))
    return found
