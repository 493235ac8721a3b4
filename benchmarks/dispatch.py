"""C3: calls per second through tierflow over the same function as plain Ray, on one host of a real fabric."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.measure import interval
from benchmarks.result import Figure, Result, commit, machine, today
from tierflow.errors import FabricError
from tierflow.rig import Rig
from tierflow.runtime import launch
from tierflow.topology import load

__all__ = ["run"]

ROOT = Path(__file__).parents[1]
DISPATCH_BAR, CHAIN_BAR = 0.95, 1.0


def run(*, quick: bool) -> Result:
    """Bring up the demo fabric with its CPU quotas lifted, measure on its cloud node, take it down."""
    repeats, calls = (7, 500) if quick else (41, 1000)
    spec = load(ROOT / "clusters" / "demo.yaml")
    free = [node.model_copy(update={"cpu_quota": None}) for node in spec.nodes]
    spec = spec.model_copy(update={"name": "c3", "nodes": tuple(free)})
    with Console(stderr=True).status("C3: starting the fabric") as status:
        record = launch.up(spec, progress=lambda name, what: status.update(f"C3: {name} {what}"))
        try:
            status.update("C3: measuring")
            environment = launch.driver_environment(record) | {"PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-m", "benchmarks.dispatch_driver", str(repeats), str(calls)]
            host = Rig.attach(record.rig).hosts[spec.head.name]
            done = host.run(command, env=environment, cwd=ROOT, timeout=1200, check=False)
        finally:
            launch.down(record)
    if done.returncode:
        raise FabricError(f"the driver of C3 failed: {done.stderr.decode()[-2000:]}", "see its last lines")
    return _result(json.loads(done.stdout.decode().rpartition("RESULT")[2]), repeats)


def _result(found: dict[str, dict[str, list[float]]], repeats: int) -> Result:
    figures = []
    ratios = {}
    for name, side in found.items():
        pairs = list(zip(side["ours"], side["theirs"], strict=True))
        ratios[name] = interval([theirs / ours for ours, theirs in pairs])
        figures.append(Figure.of(f"{name}: tierflow over plain Ray", ratios[name], "x"))
        for label, seconds in (("tierflow", side["ours"]), ("plain Ray", side["theirs"])):
            rates = interval([side["calls"] / second for second in seconds])  # type: ignore[operator]
            figures.append(Figure.of(f"{name}: {label}", rates, "calls/s"))
    dispatch = [ratio for name, ratio in ratios.items() if "chain" not in name]
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
        baseline="the same function as plain ray.remote with the same label selector, made once; for chains also "
        "one task composed by hand",
        figures=tuple(figures),
        bar=f">= {DISPATCH_BAR} x plain Ray for tasks and actor calls; > {CHAIN_BAR:g} x for chains by fusing",
        met=met,
        notes=(
            "Driver and worker are on cloud-1 of clusters/demo.yaml on the rig, CPU quotas lifted, so no shaped link "
            "is crossed: this is the cost of a call, not of a link.",
            "Nothing is fused yet: a chain made with bind beats plain Ray's because plain Ray exports its function "
            "anew at each execute, and loses to the chain composed by hand by the whole cost of its calls.",
            "Actor calls go through plain Ray handles on both sides, so what differs there is noise.",
            "The chain composed by hand runs its ten steps in one task: the most that fusing could reach.",
        ),
    )
