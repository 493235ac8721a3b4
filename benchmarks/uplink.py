"""The link conditions that placements are measured under: the plant's uplink, asked and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.driven import Running
from benchmarks.result import Figure
from tierflow.rig import Calibration, LinkControl, calibrate

__all__ = ["CONDITIONS", "LINK", "RADIO", "Uplink", "figures", "measured", "named"]

LINK = "plant-1<->region-1"
RADIO = (6.25e6, 0.003)
"""Bytes per second and delay (seconds) of the device's link to its site, as the demo declares them."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """The uplink as it is asked of the rig, the same in both directions: bytes per second, seconds one way."""

    name: str
    rate: float
    delay: float

    def apply(self, control: LinkControl) -> None:
        """Make it so, for packets from now on."""
        control.set(LINK, rate=self.rate, delay=self.delay)


CONDITIONS = (
    Uplink("100 Mbit/s, 5 ms", 12.5e6, 0.005),
    Uplink("20 Mbit/s, 25 ms", 2.5e6, 0.025),
    Uplink("2 Mbit/s, 60 ms", 0.25e6, 0.060),
)
"""A fast uplink, the demo's, and a slow one."""


def named(name: str) -> Uplink:
    """The condition of this name."""
    return next(uplink for uplink in CONDITIONS if uplink.name == name)


def measured(running: Running, conditions: Sequence[Uplink]) -> list[tuple[Uplink, Calibration]]:
    """Set each condition and measure every direction of the uplink under it; the demo's is left behind."""
    rows = []
    for uplink in conditions:
        running.say(f"measuring the link at {uplink.name}")
        uplink.apply(running.rig.control)
        ends = set(LINK.split("<->"))
        rows += [(uplink, row) for row in calibrate(running.rig) if set(row.link.split("->")) == ends]
    named("20 Mbit/s, 25 ms").apply(running.rig.control)
    return rows


def figures(rows: Sequence[tuple[Uplink, Calibration]]) -> list[Figure]:
    """Asked and measured rate and round trip of each condition; of a rate on a path with a slower link, that one's."""
    found = []
    for uplink, row in rows:
        asked = f"asked {row.asked_rate * 8e-6:.4g} Mbit/s on the path, {row.asked_rtt * 1e3:.4g} ms"
        name = f"link at {uplink.name}, {row.link} ({asked})"
        for what, value, unit in (
            ("rate", row.measured_rate * 8e-6, "Mbit/s"),
            ("round trip", row.measured_rtt * 1e3, "ms"),
        ):
            found.append(Figure(name=f"{name}: measured {what}", value=value, low=value, high=value, unit=unit))
    return found
