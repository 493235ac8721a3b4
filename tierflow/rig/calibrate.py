"""Asked against measured: the rate and the round-trip time of every shaped link of a running rig."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierflow.errors import RigError
from tierflow.rig.host import Host
from tierflow.rig.plan import mtus
from tierflow.rig.rig import Progress, Rig

__all__ = ["Calibration", "Route", "calibrate", "routes"]

_PROBE = [sys.executable, "-IS", str(Path(__file__).with_name("probe.py"))]
_PORT = 47177
_ECHOES = 15
_ECHO_SIZE = 60
_LOAD_TIME, _LEAST_PACKETS = 1.0, 30
_OVERLOAD = 1.2
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Route:
    """How a link is measured: between two nodes, over links given by number there and back.

    `limits` says that the link is the slowest of its way, so that the rate is its own; `isolated` that it is the only
    shaped one.
    """

    link: int
    source: str
    target: str
    there: tuple[int, ...]
    back: tuple[int, ...]
    limits: bool
    isolated: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """One link, measured between `source` and `target`; rates in bytes per second of IP packets, times in seconds.

    What was asked is what the whole way between the two should do: the least rate of its links; their delays there and
    back with half the jitter and the sending of a small packet. `path` names the shaped links of the way there: only
    `link` where the nodes isolate it.
    """

    link: str
    source: str
    target: str
    path: tuple[str, ...]
    asked_rate: float
    measured_rate: float
    asked_rtt: float
    measured_rtt: float

    @property
    def rate_error(self) -> float:
        """How far the rate is off, as a share of what was asked."""
        return self.measured_rate / self.asked_rate - 1

    @property
    def rtt_error(self) -> float:
        """How far the round trip is off, in seconds."""
        return self.measured_rtt - self.asked_rtt


def routes(config: Mapping[str, Any], shapes: Sequence[Mapping[str, Any]]) -> list[Route]:
    """For each shaped link that lies on a path, the two nodes that show it best.

    Best is a way that it limits, then one with few shaped links, then a short one, then by name. Pure: `config` is the
    rig's, `shapes` how each link is now.
    """
    rate = [shape["rate"] or math.inf for shape in shapes]
    shaped = [shape["rate"] is not None or shape["delay"] > 0 for shape in shapes]
    ways = {(source, target): tuple(path) for source, target, path in config["paths"]}
    best: dict[int, tuple[tuple[object, ...], Route]] = {}
    for (source, target), there in ways.items():
        slowest = min(rate[link] for link in there)
        several = sum(shaped[link] for link in there)
        for link in there:
            if not shaped[link] or (target, source) not in ways:
                continue
            limits = rate[link] == slowest
            key = (not limits, several, len(there), source, target)
            if link not in best or key < best[link][0]:
                best[link] = key, Route(link, source, target, there, ways[target, source], limits, several == 1)
    return [best[link][1] for link in sorted(best)]


def calibrate(rig: Rig, progress: Progress | None = None) -> list[Calibration]:
    """Measure every shaped link of a running rig as it is set now, one after the other; about two seconds each.

    The measured traffic is real and counts. Raises `RigError` where a link is cut or the hosts do not answer.
    """
    config, state = rig.config(), rig.control.links()
    names = [link["name"] for link in config["links"]]
    shapes = [state[name] for name in names]
    if cut := [name for name in names if not state[name]["up"]]:
        raise RigError(f"a cut link cannot be measured: {', '.join(cut)}", "heal it first: tierflow rig heal LINK")
    chosen, largest = routes(config, shapes), mtus(config)
    rows = []
    for done, route in enumerate(chosen):
        if progress is not None:
            progress(names[route.link], done / len(chosen))
        size = largest[route.source][rig.hosts[route.target].address]
        rows.append(_measure(rig, route, names, shapes, size))
    if progress is not None:
        progress("measured", 1.0)
    return rows


def _measure(
    rig: Rig, route: Route, names: Sequence[str], shapes: Sequence[Mapping[str, Any]], largest: int
) -> Calibration:
    asked_rate = min(shapes[link]["rate"] or math.inf for link in route.there)
    asked_rtt = sum(_passing(shapes[link]) for link in (*route.there, *route.back))
    near, far = rig.hosts[route.source], rig.hosts[route.target]
    size = max(100, min(largest, round(asked_rate * 0.02)))  # a slow link is measured with small packets
    duration = max(_LOAD_TIME, _LEAST_PACKETS * size / asked_rate)
    with _listening(far):
        measured_rtt = _ask(near, "rtt", far.address, _PORT, _ECHOES)
        measured_rate = _ask(near, "rate", far.address, _PORT, asked_rate * _OVERLOAD, size, duration)
    return Calibration(
        link=names[route.link],
        source=route.source,
        target=route.target,
        path=tuple(names[link] for link in route.there if shapes[link]["rate"]),
        asked_rate=asked_rate,
        measured_rate=measured_rate,
        asked_rtt=asked_rtt,
        measured_rtt=measured_rtt,
    )


def _passing(shape: Mapping[str, Any]) -> float:
    """The time that an echo should take over a link, on average."""
    sending = _ECHO_SIZE / shape["rate"] if shape["rate"] else 0.0
    return float(shape["delay"] + shape["jitter"] / 2 + sending)


@contextlib.contextmanager
def _listening(host: Host) -> Iterator[None]:
    command = [*_PROBE, "listen", host.address, str(_PORT)]
    with host.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            if process.stdout.readline() != b"ready\n":
                said = process.stderr.read().decode(errors="replace").strip().splitlines()
                raise RigError(f"{host.name} cannot be measured ({said[-1] if said else 'no word'})", "see the reason")
            yield
        finally:
            process.kill()


def _ask(host: Host, *arguments: object) -> float:
    try:
        result = host.run([*_PROBE, *map(str, arguments)], timeout=_PATIENCE)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise RigError(f"{host.name} cannot be measured ({error})", "see whether its processes run") from None
    return float(result.stdout)
