"""G1: values that the edge has made, fetched over the uplink by the cloud: how fast, and how many bytes cross."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.driven import ROOT, Running, demo, running
from benchmarks.measure import interval
from benchmarks.result import Figure, Result, commit, machine, today
from benchmarks.transfer_data import LOSSY
from benchmarks.transfer_driver import EDGE, LEARNING, RATES, SECONDS
from tierflow.runtime import launch

__all__ = ["run"]

SIDES = ("tierflow", "plain Ray", "Arrow Flight", "pickle")
PORT = 8815
FASTER, NO_SLOWER = 2.0, 0.98
COMPRESSIBLE = ("sensor readings", "activations, lossy", "weights, lossy")
"""What becomes half as many bytes or fewer."""


def run(*, quick: bool) -> Result:
    """Each kind of value at each rate, by tierflow, plain Ray, Arrow Flight and pickle in turn."""
    repeats = 7
    rates = ["10 Mbit/s"] if quick else list(RATES)
    with (
        running(demo("g1", without=("cam-1", "cam-2", "cam-3"), quotas=False), "G1") as fabric,
        _server(fabric) as host,
    ):
        rows = fabric.drive("cloud-1", "benchmarks.transfer_driver", rates, repeats, host, str(PORT), timeout=3600)
        share = fabric.emulator_share()
    return result(rows, repeats, share)


@contextmanager
def _server(fabric: Running) -> Iterator[str]:
    host = fabric.rig.hosts[EDGE]
    environment = launch.driver_environment(fabric.record) | {"PYTHONPATH": str(ROOT)}
    address = str(host.address)
    argv = [sys.executable, "-m", "benchmarks.transfer_server", address, str(PORT)]
    with host.popen(argv, env=environment, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield address
        finally:
            process.kill()


def result(rows: Sequence[Sequence[Any]], repeats: int, share: float) -> Result:
    """The figures: `rows` are rate, kind, side, seconds and bytes of each fetch."""
    figures, met = [], True
    for rate, kind in dict.fromkeys((row[0], row[1]) for row in rows):
        took = {side: _of(rows, rate, kind, side, 3) for side in SIDES}
        crossed = {side: _of(rows, rate, kind, side, 4) for side in SIDES}
        for side in SIDES[1:]:
            ratio = interval(np.divide(took[side], took["tierflow"]).tolist())
            figures.append(Figure.of(f"{kind}, {rate}: rate of tierflow over {side}", ratio, "x"))
            if side == "plain Ray":
                met &= ratio.value >= (FASTER if kind in COMPRESSIBLE and rate != "100 Mbit/s" else NO_SLOWER)
        for side in SIDES:
            figures.append(Figure.of(f"{kind}, {rate}: seconds, {side}", interval(took[side]), "s"))
            figures.append(Figure.of(f"{kind}, {rate}: crossed the uplink, {side}", interval(crossed[side]), "bytes"))
    return Result(
        id="G1",
        title="Exchange: large values over a slow link",
        command="python -m benchmarks G1",
        commit=commit(),
        machine=machine(),
        date=today(),
        repeats=repeats,
        seeds=tuple(range(LEARNING, LEARNING + repeats)),
        baseline="plain Ray (the same task by ray.remote, ray.get); Arrow Flight; pickle over TCP",
        figures=tuple(figures),
        bar=f">= {FASTER:g}x plain Ray at 1 and 10 Mbit/s on {', '.join(COMPRESSIBLE)}; >= {NO_SLOWER}x on all else",
        met=met,
        notes=(
            f"A value takes about {SECONDS:g} s as it is; sides fetch in turn what is ready.",
            f"Lossy: no number is off by more than {LOSSY:.0%} of the largest in its tensor. All else comes exactly.",
            "There are 1.6 MB of photographs, as pixels: at 100 Mbit/s they take .13 s.",
            f"The first {LEARNING} fetches of each kind are not counted: by them the fabric learns what it is like.",
            "Bytes are those at the interface, with headers and whatever else crossed meanwhile.",
            "Flight sends tensors and arrays as one column, and gives no tensor.",
            f"The process that carries the packets took {share:.2f} of a core.",
        ),
    )


def _of(rows: Sequence[Sequence[Any]], rate: str, kind: str, side: str, column: int) -> list[float]:
    return [float(row[column]) for row in rows if (row[0], row[1], row[2]) == (rate, kind, side)]
