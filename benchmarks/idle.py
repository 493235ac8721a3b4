"""E2, its idle half: the bytes and the cores that what is the fabric's own takes while nothing is called.

That is its registry and agents, and the heartbeats of the nodes' supervisors.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from benchmarks.driven import Running, demo, running
from benchmarks.measure import Interval, interval
from benchmarks.regret import worth
from benchmarks.result import Figure, Result, commit, machine, today

__all__ = ["run"]

TRAFFIC_BAR, CORE_BAR = 250.0 / 8, 0.01
"""Bytes per second of an idle node, and the share of a core of its agent."""
QUIET = 60.0
"""Seconds before anything is counted, in which the links of a new fabric are probed and a driver's traces go."""
REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Window:
    """One window: bytes per second at the interface of each node but the head's, cores that each process took."""

    traffic: Mapping[str, float]
    cores: Mapping[str, float]


def run(*, quick: bool) -> Result:
    """Watch the idle demo, end what tierflow runs in it, and watch again."""
    windows, length, quiet = (7, 60.0 / 7, 30.0) if quick else (20, 30.0, QUIET)
    with running(demo("e2"), "E2") as fabric:
        head = fabric.record.spec().head.name
        actors: dict[str, int] = fabric.drive(head, "benchmarks.idle_driver", "list", timeout=120)
        fabric.say("letting it become idle")
        time.sleep(quiet)
        with_own = watch(fabric, head, actors, windows, length, "with agents")
        ended = fabric.drive(head, "benchmarks.idle_driver", "end", timeout=120)
        with paused(fabric):
            time.sleep(quiet)
            without = watch(fabric, head, {}, windows, length, f"without its {len(ended)} actors and heartbeats")
            fabric.drive(head, "benchmarks.idle_driver", "empty", timeout=120)
            time.sleep(quiet)
            empty = watch(fabric, head, {}, windows, length, "with empty actors")
    return result(with_own, without, empty, length, len(ended))


@contextmanager
def paused(fabric: Running) -> Iterator[None]:
    """Let the nodes' supervisors, and so their heartbeats, rest; Ray goes on."""
    pids = fabric.record.supervisors.values()
    for pid in pids:
        psutil.Process(pid).send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).send_signal(signal.SIGCONT)


def watch(
    fabric: Running, head: str, processes: Mapping[str, int], windows: int, length: float, what: str
) -> list[Window]:
    """The windows, one after the other without a gap."""
    found = []
    bytes_, cores, at = _bytes(fabric, head), _cores(processes), time.monotonic()
    for number in range(windows):
        fabric.say(f"idle {what}: window {number + 1} of {windows}")
        time.sleep(length)
        later, used, now = _bytes(fabric, head), _cores(processes), time.monotonic()
        found.append(
            Window(
                {name: (later[name] - bytes_[name]) / (now - at) for name in later},
                {name: (used[name] - cores[name]) / (now - at) for name in used if name in cores},
            )
        )
        bytes_, cores, at = later, used, now
    return found


def _bytes(fabric: Running, head: str) -> dict[str, int]:
    counted = fabric.rig.interfaces()
    return {name: row.sent_bytes + row.received_bytes for name, row in counted.items() if name != head}


def _cores(processes: Mapping[str, int]) -> dict[str, float]:
    """Seconds of a core that each process has taken; one that has ended is missing."""
    found = {}
    for name, pid in processes.items():
        try:
            used = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        found[name] = used.user + used.system
    return found


def result(
    with_own: Sequence[Window], without: Sequence[Window], empty: Sequence[Window], length: float, ended: int
) -> Result:
    """The figures, against the bars."""
    windows = len(with_own)
    nodes = list(with_own[0].traffic)
    all_, ray, bare = ([_mean(list(window.traffic.values())) for window in side] for side in (with_own, without, empty))
    own = _difference(all_, ray)
    names = sorted({name for window in with_own for name in window.cores})
    cores = {name: worth([window.cores.get(name, 0.0) for window in with_own]) for name in names}
    agents = [share for name, share in cores.items() if name != REGISTRY]
    met = bool(agents) and own.value <= TRAFFIC_BAR and all(share.value < CORE_BAR for share in agents)
    figures = [
        Figure.of("idle node, tierflow's own: traffic", own.scaled(8e-3), "kbit/s"),
        Figure.of("idle node, with tierflow: traffic", worth(all_).scaled(8e-3), "kbit/s"),
        Figure.of("idle node, Ray alone: traffic", worth(ray).scaled(8e-3), "kbit/s"),
        Figure.of("idle node, an empty Ray actor: its traffic", _difference(bare, ray).scaled(8e-3), "kbit/s"),
        Figure.of("idle node: traffic with tierflow over Ray alone", _ratio(all_, ray), "x"),
    ]
    for node in nodes:
        sides = ([window.traffic[node] for window in side] for side in (with_own, without))
        figures.append(Figure.of(f"{node}: tierflow's own traffic", _difference(*sides).scaled(8e-3), "kbit/s"))
    figures += [Figure.of(f"{name}: of one core", share.scaled(100), "%") for name, share in cores.items()]
    return Result(
        id="E2",
        title="Idle fabric: control bytes per idle node, and cores of its agents",
        command="python -m benchmarks E2",
        commit=commit(),
        machine=machine(),
        date=today(),
        repeats=windows,
        seeds=(0,),
        baseline="the same fabric on the same links after its registry and agents were ended and its heartbeats "
        "paused: Ray's own",
        figures=tuple(figures),
        bar="the fabric's own traffic <= .25 kbit/s per idle node; an agent below 1 % of a core",
        met=met,
        notes=(
            f"clusters/demo.yaml, {len(nodes)} nodes beside the head; {windows} windows of {length:.3g} s on each "
            f"side, one side after the other (ended actors: {ended}); bytes at the node's interface, both directions.",
            "The empty actor is a plain Ray actor that does nothing, one on each node, after the registry and the "
            "agents were ended: what a process of Ray costs however little it does.",
            "The fabric's own includes the heartbeats by which a cut is known within 3 s: one datagram a second to and "
            "from a neighbour.",
            "Half of E2: the bar on 100,000 simulated nodes is another benchmark.",
        ),
    )


def _difference(a: Sequence[float], b: Sequence[float]) -> Interval:
    """The difference of two means that were measured apart, with the interval of both."""
    first, second = worth(a), worth(b, seed=1)
    value = first.value - second.value
    below = ((first.value - first.low) ** 2 + (second.high - second.value) ** 2) ** 0.5
    above = ((first.high - first.value) ** 2 + (second.value - second.low) ** 2) ** 0.5
    return Interval(value, value - below, value + above)


def _ratio(a: Sequence[float], b: Sequence[float]) -> Interval:
    return interval([first / second for first, second in zip(a, b, strict=True)])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
