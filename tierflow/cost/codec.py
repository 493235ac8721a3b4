"""How long it takes to pack bytes before a transfer and to unpack them after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierflow.cost.estimate import Estimates, Floats
from tierflow.topology.column import Source

__all__ = ["RAW", "Codec", "codec_time"]

DOUBT = 0.3
"""The relative standard deviation of a codec's time."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to pack bytes: `ratio` of what crosses the link to what goes in, and its rates on a node of speed 1.

    Rates are bytes of the unpacked data per second, infinite where nothing is done.
    """

    name: str
    ratio: float = 1.0
    encode: float = float("inf")
    decode: float = float("inf")


RAW = Codec("raw")


def codec_time(codec: Codec, size: Floats, source_speed: Floats | float, target_speed: Floats | float) -> Estimates:
    """Seconds to pack `size` bytes at nodes of one speed and to unpack them at nodes of another."""
    seconds = size / (codec.encode * source_speed) + size / (codec.decode * target_speed)
    return Estimates.of("s", seconds, np.square(seconds * DOUBT), Source.MODELLED)
