"""G2: small calls over a slow link on which a large object is on its way, and what that costs a fast one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.driven import Running, demo, running
from benchmarks.measure import interval
from benchmarks.result import Figure, Result, commit, machine, today
from benchmarks.urgent_driver import FAST, SIZE, SLOW, SMALL, Uplink
from tierflow.runtime import launch

__all__ = ["run"]

SIDES = ("tierflow", "plain Ray")
OWN = {"RAY_object_manager_pull_timeout_ms": "120000"}
"""Ray's own chunks and window. With its own patience, 10 s, all chunks are sent again and again: after 25 minutes the
seven transfers had not ended, and three times their bytes had crossed."""
BAR, KEPT = 0.15, 0.9
WITHOUT = ("cam-1", "cam-2", "cam-3")


def run(*, quick: bool) -> Result:
    """Two fabrics side by side, one with Ray's own way of sending objects: a slow uplink, then a fast one."""
    repeats, size = 7, SIZE // 10 if quick else SIZE
    slow = _both(SLOW, repeats, size)
    fast = _both(FAST, repeats, SIZE // 2)
    return result(slow, fast, repeats, size)


def _both(uplink: Uplink, repeats: int, size: int) -> Mapping[str, Any]:
    """What the driver found on each side, at the same time."""
    with _fabric("g2-own", uplink, {}) as ours, _fabric("g2-ray", uplink, OWN) as theirs:

        def driven(fabric: Running) -> Any:
            return fabric.drive("cloud-1", "benchmarks.urgent_driver", repeats, size, uplink.rate, timeout=3000)

        with ThreadPoolExecutor(2) as pool:
            return dict(zip(SIDES, pool.map(driven, (ours, theirs)), strict=True))


@contextmanager
def _fabric(name: str, uplink: Uplink, own: Mapping[str, str]) -> Iterator[Running]:
    spec = demo(name, without=WITHOUT, quotas=False, uplink={"rate": uplink.rate, "delay": uplink.delay})
    if not own:
        with running(spec, "G2") as fabric:
            yield fabric
        return
    with patch.object(launch, "transfer_environment", lambda *_: dict(own)), running(spec, "G2") as fabric:
        yield fabric


def result(slow: Mapping[str, Any], fast: Mapping[str, Any], repeats: int, size: int) -> Result:
    """The figures: of each side's rows, seconds of calls alone and beside the transfer, its seconds and bytes."""
    figures = []
    for side in SIDES:
        for name, column in (("alone", 0), ("beside the transfer", 1)):
            for part in (50, 99):
                each = [float(np.percentile(row[column], part)) for row in slow[side]]
                figures.append(Figure.of(f"{side}: p{part} of a call {name}", interval(each), "s"))
        figures.append(Figure.of(f"{side}: seconds of the transfer", interval(_column(slow[side], 2)), "s"))
        figures.append(Figure.of(f"{side}: bytes that crossed", interval(_column(slow[side], 3)), "bytes"))
    p99 = {side: [float(np.percentile(row[1], 99)) for row in slow[side]] for side in SIDES}
    figures.append(Figure.of("p99 of plain Ray over tierflow", _ratio(p99["plain Ray"], p99["tierflow"]), "x"))
    shares = interval([size / seconds / SLOW.rate for seconds in _column(slow["tierflow"], 2)])
    figures.append(Figure.of("share of the slow link's rate that the transfer has, tierflow", shares, "x"))
    quick = _ratio(_column(fast["plain Ray"], 2), _column(fast["tierflow"], 2))
    figures.append(Figure.of("100 Mbit/s: rate of a transfer, tierflow over plain Ray", quick, "x"))
    own = interval(p99["tierflow"])
    return Result(
        id="G2",
        title="Exchange: small calls beside a large transfer",
        command="python -m benchmarks G2",
        commit=commit(),
        machine=machine(),
        date=today(),
        repeats=repeats,
        seeds=tuple(range(repeats)),
        baseline="Ray's own chunks and window at the same time, but with our 120 s until a pull asks again",
        figures=tuple(figures),
        bar=f"p99 <= {BAR * 1e3:g} ms, and the transfer keeps >= {KEPT:.0%} of the link and of a fast one's rate",
        met=own.value <= BAR and shares.value >= KEPT and quick.value >= KEPT,
        notes=(
            f"A call of an actor that takes and gives {SMALL:,} bytes, over 5 Mbit/s and 40 ms there and back, while",
            f"{size / 1e6:g} MB of noise are fetched over it. Each side has a fabric and links of its own.",
        ),
    )


def _column(rows: Sequence[Sequence[Any]], column: int) -> list[float]:
    return [float(row[column]) for row in rows]


def _ratio(over: Sequence[float], under: Sequence[float]) -> Any:
    return interval(np.divide(over, under).tolist())
