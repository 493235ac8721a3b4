"""C3: calls per second through tierflow over the same function as plain Ray, on one host of a real fabric."""

from __future__ import annotations

from benchmarks.dispatch_driver import NOISE
from benchmarks.driven import demo, running
from benchmarks.measure import interval
from benchmarks.result import Figure, Result, commit, machine, today

__all__ = ["run"]

DISPATCH_BAR, CHAIN_BAR = 0.95, 1.0


def run(*, quick: bool) -> Result:
    """Bring up the demo fabric with its CPU quotas lifted, measure on its cloud node, take it down."""
    repeats, calls = (7, 500) if quick else (41, 1000)
    with running(demo("c3", quotas=False), "C3") as fabric:
        head = fabric.record.spec().head.name
        found = fabric.drive(head, "benchmarks.dispatch_driver", repeats, calls, timeout=1800)
    return _result(found, repeats)


def _result(found: dict[str, dict[str, list[float]]], repeats: int) -> Result:
    figures = []
    ratios = {}
    for name, side in found.items():
        pairs = list(zip(side["ours"], side["theirs"], strict=True))
        ratios[name] = interval([theirs / ours for ours, theirs in pairs])
        ours = "plain Ray again" if name == NOISE else "tierflow"
        figures.append(Figure.of(f"{name}: {ours} over plain Ray", ratios[name], "x"))
        for label, seconds in ((ours, side["ours"]), ("plain Ray", side["theirs"])):
            rates = interval([side["calls"] / second for second in seconds])  # type: ignore[operator]
            figures.append(Figure.of(f"{name}: {label}", rates, "calls/s"))
    dispatch = [ratio for name, ratio in ratios.items() if "chain" not in name and name != NOISE]
    met = all(ratio.value >= DISPATCH_BAR for ratio in dispatch)
    met = met and ratios["chain made with bind"].value > CHAIN_BAR and ratios["chain of references"].value > CHAIN_BAR
    return Result(
        id="C3",
        title="Dispatch: calls per second through tierflow over plain Ray",
        command="python -m benchmarks C3",
        commit=commit(),
        machine=machine(),
        date=today(),
        repeats=repeats,
        seeds=(0,),
        baseline="the same function as plain ray.remote with the same label selector, made once, or none where the "
        "task names no place; for chains also one task composed by hand",
        figures=tuple(figures),
        bar=f">= {DISPATCH_BAR} x plain Ray for tasks and actor calls; > {CHAIN_BAR:g} x for chains by fusing",
        met=met,
        notes=(
            "Driver and worker are on cloud-1 of clusters/demo.yaml on the rig, CPU quotas lifted, so no shaped link "
            "is crossed: this is the cost of a call, not of a link.",
            "A task that names no place is placed by the cost model at each call, over the five nodes of the demo; "
            "plain Ray's has no label either.",
            "Plain Ray against plain Ray shows the noise: what lies within its interval of 1 is no difference.",
            "Nothing is fused yet: a chain made with bind beats plain Ray's because plain Ray exports its function "
            "anew at each execute, and loses to the chain composed by hand by the whole cost of its calls.",
            "Actor calls go through plain Ray handles on both sides, so what differs there is noise.",
            "The chain composed by hand runs its ten steps in one task: the most that fusing could reach.",
        ),
    )
