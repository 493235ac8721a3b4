"""D2: what placed calls cost over the best fixed place, and how soon a change of the uplink is placed by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.driven import Running, demo, running
from benchmarks.measure import Interval, interval
from benchmarks.placement_driver import OURS, PLAIN, TIERS
from benchmarks.regret import Cell, decided, ratio, regret, worth
from benchmarks.replan import Replanned, fifty, replan
from benchmarks.result import Figure, Result, commit, machine, today
from benchmarks.steps_driver import FAST, SLOW
from benchmarks.uplink import CONDITIONS, RADIO, figures, measured

__all__ = ["run"]

CALLER = "cam-1"
REGRET_BAR, REPLAN_BAR = 0.03, 1e-3
WARM = 3


def run(*, quick: bool) -> Result:
    """Place calls from the demo's first camera on the rig, then step its uplink; plan again without a rig besides."""
    repeats, steps, patience = (7, 1, 20.0) if quick else (7, 5, 45.0)
    conditions = CONDITIONS[1:2] if quick else CONDITIONS
    names = [uplink.name for uplink in conditions]
    # Two cameras of the three would only take cores: the sum of the quotas is 1.3 of this machine's.
    with running(demo("d2", without=("cam-2", "cam-3")), "D2") as fabric:
        links = figures(measured(fabric, conditions))
        found = fabric.drive(CALLER, "benchmarks.placement_driver", names, repeats, WARM, timeout=3600)
        links += busiest(fabric)
    # Declared as it is before it steps, so that nothing but the step has to be found out.
    declared = {"rate": FAST.rate, "delay": FAST.delay}
    with running(demo("d2-step", without=("cam-2", "cam-3"), uplink=declared), "D2") as fabric:
        stepped = fabric.drive(CALLER, "benchmarks.steps_driver", steps, patience, timeout=3600)
    cells = [cell(row) for row in found]
    replanned = [replan(demo("five"), repeats), replan(fifty(), repeats)]
    return result(cells, stepped, replanned, links, repeats)


def cell(row: dict[str, Any]) -> Cell:
    """What the driver measured of one function under one condition."""
    seconds = {side: tuple(times) for side, times in row["seconds"].items()}
    return Cell(
        f"{row['function']} at {row['condition']}",
        seconds[OURS],
        tuple(row["chosen"]),
        {tier: seconds[tier] for tier in TIERS},
        {PLAIN: seconds[PLAIN]},
    )


def busiest(fabric: Running) -> list[Figure]:
    """The share of a core that the emulator of the links took since it began: it is not what sets the times."""
    share = fabric.emulator_share()
    return [Figure(name="emulator: of one core", value=share, low=share, high=share, unit="share")]


def result(
    cells: Sequence[Cell],
    stepped: Sequence[dict[str, Any]],
    replanned: Sequence[Replanned],
    links: Sequence[Figure],
    repeats: int,
) -> Result:
    """The figures, against the bars."""
    overall = regret(cells)
    effect, bars = _effect(stepped)
    met = overall.value <= REGRET_BAR and all(row.remembered.value <= REPLAN_BAR for row in replanned) and bars
    return Result(
        id="D2",
        title="Placement: regret of the decisions, and time to plan again after a step of the uplink",
        command="python -m benchmarks D2",
        commit=commit(),
        machine=machine(),
        date=today(),
        repeats=repeats,
        seeds=(0,),
        baseline="the same task always on the device, the edge and the cloud; plain Ray's default scheduling; planning "
        "from scratch; never planning again",
        figures=(*_overall(cells, overall), *_replanned(replanned), *effect, *_cells(cells), *links),
        bar="regret over all cells <= 3 %; planning again <= 1 ms; in effect within 2 round trips and one transfer",
        met=met,
        notes=(
            "clusters/demo.yaml without cam-2 and cam-3; the caller and the data are on cam-1 (.2 of a core), a new "
            "input for each call, put into the device's store before its time begins.",
            "Functions: statistics of 614 kB of frames (about 5 ms on one whole core), a forecast from 8 kB of "
            "readings with a recurrent torch network (.34 s), detection in 614 kB of frames with a convolutional one "
            "(.14 s); one thread each.",
            f"In each round every side is called once, in a drawn order; {WARM} rounds before, which are not counted, "
            "let the workers start and the profiles be learned. The uplink is set before they begin.",
            "Regret is the mean time of tierflow's calls over that of the best fixed place, which is itself the least "
            "of three noisy means, so noise alone makes it positive; 'decisions alone' counts each call with the mean "
            "time of the place it was given.",
            f"The step: detection called without pause while the uplink goes from {FAST.name}, as that fabric's file "
            f"declares it, to {SLOW.name} and back; the time runs from the end of the first transfer after the step, "
            "with .1 s in which the next input is made. After the way back nothing crosses the uplink any more, so "
            "only probes and explored calls can see that it is fast again.",
            "Planning again is one change of the uplink and one decision, in this process; the regret of never "
            "planning again is by predicted cost, over drawn changes from 1 to 200 Mbit/s and 2 to 60 ms.",
            f"The device's own link is {RADIO[0] * 8e-6:g} Mbit/s, {RADIO[1] * 1e3:g} ms: over it a fast uplink is no "
            "faster.",
        ),
    )


def _overall(cells: Sequence[Cell], overall: Interval) -> list[Figure]:
    found = [
        Figure.of("regret over all cells", overall.scaled(100), "%"),
        Figure.of("regret over all cells, decisions alone", decided(cells).scaled(100), "%"),
    ]
    found += (
        Figure.of(f"all cells, {_label(side)}: its time over tierflow's", ratio(cells, side), "x")
        for side in (*TIERS, PLAIN)
    )
    return found


def _cells(cells: Sequence[Cell]) -> list[Figure]:
    found = []
    for one in cells:
        found.append(Figure.of(f"{one.name}: regret", regret([one]).scaled(100), "%"))
        found.append(Figure.of(f"{one.name}: regret, decisions alone", decided([one]).scaled(100), "%"))
        found.append(Figure.of(f"{one.name}: tierflow ({_places(one)})", worth(one.ours), "s"))
        found += (Figure.of(f"{one.name}: {_label(side)}", worth(one.side(side)), "s") for side in (*TIERS, PLAIN))
    return found


def _label(side: str) -> str:
    return side if side == PLAIN else f"always {side}"


def _places(one: Cell) -> str:
    return ", ".join(f"{one.chosen.count(tier)} {tier}" for tier in TIERS if tier in one.chosen)


def _replanned(rows: Sequence[Replanned]) -> list[Figure]:
    found = []
    for row in rows:
        name = f"planning again, {row.nodes} nodes"
        found.append(Figure.of(f"{name}: from scratch over remembered", row.ratio, "x"))
        found.append(Figure.of(f"{name}: remembered", row.remembered.scaled(1e3), "ms"))
        found.append(Figure.of(f"{name}: from scratch", row.scratch.scaled(1e3), "ms"))
        found.append(Figure.of(f"{name}: regret of never planning again", row.stale.scaled(100), "%"))
    return found


def _effect(steps: Sequence[dict[str, Any]]) -> tuple[list[Figure], bool]:
    """The figures of the steps, and whether each was in effect in time; a step that never was counts against it."""
    trip = 4 * (SLOW.delay + RADIO[1])
    whole = [step for step in steps if step["settled"]]
    away = [step for step in whole if step["away"] is not None]
    back = [step["back"] for step in whole if step["back"] is not None]
    found = [
        _counted("step: steps from a settled stream", len(whole), len(steps)),
        _counted("step down: streams that moved away", len(away), len(whole)),
        _counted("step up: streams that came back", len(back), len(whole)),
    ]
    if away:
        allowed = [trip + step["transfer"] for step in away]
        found += [
            Figure.of("step down: from the end of the first transfer to a call elsewhere", _of(away, "away"), "s"),
            Figure.of("step down: two round trips and one transfer", interval(allowed), "s"),
            Figure.of("step down: the first transfer itself", _of(away, "transfer"), "s"),
            Figure.of("step down: calls that still went over the slow uplink", _of(away, "crossed"), "calls"),
            Figure.of("step down and up: moves beyond the two", _of(whole, "flaps"), "moves"),
        ]
    if back:
        found.append(Figure.of("step up: from the step to the calls that stayed on the cloud", interval(back), "s"))
    in_time = sum(step["away"] <= trip + step["transfer"] for step in away)
    return found, bool(whole) and in_time == len(whole) == len(steps)


def _of(steps: Sequence[dict[str, Any]], key: str) -> Interval:
    return interval([step[key] for step in steps])


def _counted(name: str, count: int, most: int) -> Figure:
    return Figure(name=f"{name} (of {most})", value=count, low=count, high=count, unit="steps")
