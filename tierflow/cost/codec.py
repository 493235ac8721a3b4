"""How long it takes to pack bytes before a transfer and to unpack them after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tierflow.cost.estimate import Estimates, Floats
from tierflow.topology.column import Source

__all__ = ["RAW", "Codec", "Crossing", "best", "codec_time"]

MARGIN = 0.95
"""A codec must need less than this share of the raw time: its ratio was found on a sample."""
DOUBT = 0.3
"""The relative standard deviation of a codec's time."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to pack bytes: `ratio` of what crosses the link to what goes in, and its rates on a node of speed 1.

    Rates are bytes of the unpacked data per second, infinite where nothing is done. `loss` is by how much a number may
    be off, as a share of the largest magnitude beside it; 0 where the same bytes come out.
    """

    name: str
    ratio: float = 1.0
    encode: float = float("inf")
    decode: float = float("inf")
    loss: float = 0.0


RAW = Codec("raw")


@dataclass(frozen=True, slots=True)
class Crossing:
    """Between the one who has bytes and the one who reads them: bytes per second, and the speeds of both nodes.

    `trip` is the seconds until the one who has the bytes has been asked to pack them.
    """

    rate: float
    source_speed: float = 1.0
    target_speed: float = 1.0
    trip: float = 0.0

    def seconds(self, codec: Codec, size: float) -> float:
        """From so many bytes to the same bytes there."""
        packing = 1.0 / (codec.encode * self.source_speed) + 1.0 / (codec.decode * self.target_speed)
        return size * (packing + codec.ratio / self.rate) + (self.trip if codec.name != RAW.name else 0.0)


def best(size: float, crossing: Crossing, codecs: Iterable[Codec]) -> Codec:
    """The codec that brings so many bytes over soonest; `RAW` where none saves at least a twentieth of the time."""
    least = min(codecs, key=lambda codec: crossing.seconds(codec, size), default=RAW)
    return least if crossing.seconds(least, size) < MARGIN * crossing.seconds(RAW, size) else RAW


def codec_time(codec: Codec, size: Floats, source_speed: Floats | float, target_speed: Floats | float) -> Estimates:
    """Seconds to pack `size` bytes at nodes of one speed and to unpack them at nodes of another."""
    seconds = size / (codec.encode * source_speed) + size / (codec.decode * target_speed)
    return Estimates.of("s", seconds, np.square(seconds * DOUBT), Source.MODELLED)
