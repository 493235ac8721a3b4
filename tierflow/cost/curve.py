"""A positive quantity as a function of size, learned online: how long a function takes, how much it returns."""

from __future__ import annotations

import math
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["Curve", "Knot", "size_class"]

MEMORY = 0.2
"""The least weight of a new sample in a knot: about the last 10 samples count."""
GATE = 3.0
"""Standard deviations beyond which a sample is an outlier."""
SURE_AFTER = 4
"""Samples of a knot before which none is taken for an outlier."""
EAGER = 0.5
"""The least weight of one of the first samples that is below the mean: what disturbs a start only lengthens a call."""
STEP_AFTER = 3
"""Outliers in a row on one side that are a new level."""
FIRST_SPREAD, LEAST_SPREAD = 0.3, 0.02
"""Relative standard deviations of one sample: before there are several, and at the least."""
BEYOND = 0.25
"""Relative standard deviation that each doubling of the size adds beyond what was seen."""
LEAST_FIXED = 1e-3
"""The share of the mean amount that is constant, at the least: nothing takes no time."""
SWAY = 2.0
"""Standard deviations of the mean that a change must exceed to make another version: else it would follow the noise."""
SHOWN = 0.05
"""The relative change of a knot that is more than noise, and makes a curve another version."""


def size_class(size: float) -> int:
    """The class of a size in bytes: two sizes of one class differ by less than 2 times."""
    return max(math.frexp(max(size, 0.0))[1], 0)


@dataclass(frozen=True, slots=True)
class Knot:
    """What was seen of one class of sizes: mean size, mean amount, relative spread of a sample.

    `run` counts outliers in a row, above (+) or below (-). `shown` is the amount when the curve's version last changed.
    """

    size: float
    amount: float
    spread: float = FIRST_SPREAD
    count: int = 1
    run: int = 0
    shown: float = 0.0

    def observed(self, size: float, amount: float) -> Knot:
        """The knot after one more sample. One outlier changes nothing; several on one side begin a new level."""
        error = amount / self.amount - 1.0
        if self.count >= SURE_AFTER and abs(math.log(amount / self.amount)) > GATE * self.spread:
            run = self.run + 1 if error > 0 and self.run >= 0 else self.run - 1 if error < 0 and self.run <= 0 else 0
            return replace(self, run=run) if abs(run) < STEP_AFTER else Knot(size, amount, shown=self.shown)
        least = MEMORY if self.count >= SURE_AFTER or error > 0 else EAGER
        gain = max(1.0 / (self.count + 1), least)
        variance = (1 - gain) * (self.spread**2 + gain * error**2)
        return Knot(
            self.size + gain * (size - self.size),
            self.amount * (1.0 + gain * error),
            max(math.sqrt(variance), LEAST_SPREAD),
            self.count + 1,
            shown=self.shown,
        )

    @property
    def share(self) -> float:
        """The deviation of the mean as a share of that of a sample: of a mean that forgets, it stays above 0."""
        return max(1.0 / math.sqrt(self.count), math.sqrt(MEMORY / (2.0 - MEMORY)))

    @property
    def doubt(self) -> float:
        """The relative standard deviation of the mean, with what one more sample would spread."""
        return self.spread * math.sqrt(1.0 + 1.0 / self.count)


@dataclass(frozen=True, slots=True)
class Curve:
    """One knot for each class of sizes that was seen, by size; linear between knots.

    Beyond the knots it follows the straight line through them (least relative squares) that neither falls with the
    size nor is below 0 anywhere; after one knot, half of the amount is taken to be constant. Made with `of` and
    `observed`. `count` is that of all samples. `version` is a fingerprint of what the curve says, which only changes
    by more than noise alter: curves that differ by more have different versions, wherever they were learned.
    """

    knots: tuple[Knot, ...] = ()
    version: int = 0
    count: int = 0

    @classmethod
    def of(cls, knots: tuple[Knot, ...], count: int) -> Curve:
        """The curve of these knots, in order of size, that `count` samples made."""
        return cls(knots, _fingerprint(knots), count)

    def observed(self, size: float, amount: float) -> Curve:
        """The curve after a sample: `amount` (above 0) for an input of `size` whole bytes."""
        size = float(math.floor(size))
        label = size_class(size)
        at = bisect_left(self.knots, label, key=lambda knot: size_class(knot.size))
        known = at < len(self.knots) and size_class(self.knots[at].size) == label
        knot = self.knots[at].observed(size, amount) if known else Knot(size, amount)
        changed = abs(knot.amount - knot.shown) > max(SHOWN, SWAY * knot.spread * knot.share) * knot.shown
        if changed:
            knot = replace(knot, shown=knot.amount)
        knots = (*self.knots[:at], knot, *self.knots[at + known :])
        return Curve(knots, _fingerprint(knots) if changed else self.version, self.count + 1)

    def at(self, size: float) -> tuple[float, float]:
        """The amount for an input of `size` bytes, and its standard deviation. Only where there is a knot."""
        knots = self.knots
        after = bisect_left(knots, size, key=lambda knot: knot.size)
        if 0 < after < len(knots):
            low, high = knots[after - 1], knots[after]
            share = (size - low.size) / (high.size - low.size)
            amount = low.amount + share * (high.amount - low.amount)
            return amount, amount * max(low.doubt, high.doubt)
        end = knots[min(after, len(knots) - 1)]
        if size == end.size:
            return end.amount, end.amount * end.doubt
        fixed, slope = _line(knots)
        amount = end.amount * (fixed + slope * size) / (fixed + slope * end.size)
        octaves = abs(math.log2((size + 1.0) / (end.size + 1.0)))
        return amount, amount * math.hypot(end.doubt, BEYOND * octaves)


def _fingerprint(knots: Iterable[Knot]) -> int:
    """32 bits of the size class and the shown amount of each knot, the same on every machine; 0 for no knots."""
    rows = (struct.pack("<qd", size_class(knot.size), knot.shown) for knot in knots)
    return zlib.crc32(b"".join(rows))


def _line(knots: Iterable[Knot]) -> tuple[float, float]:
    """The straight line through the knots: amount at size 0, and amount per byte; neither is below 0."""
    total = mean_size = mean_amount = spread = together = 0.0
    points = [(min(knot.count, 1 / MEMORY) / knot.amount**2, knot.size, knot.amount) for knot in knots]
    for weight, size, amount in points:
        total, mean_size, mean_amount = total + weight, mean_size + weight * size, mean_amount + weight * amount
    mean_size, mean_amount = mean_size / total, mean_amount / total
    for weight, size, amount in points:
        spread += weight * (size - mean_size) ** 2
        together += weight * (size - mean_size) * (amount - mean_amount)
    most = mean_amount / mean_size if mean_size else 0.0
    prior = 1e-3 * total * mean_size**2
    slope = (together + prior * most / 2) / (spread + prior) if spread + prior > 0 else 0.0
    slope = min(max(slope, 0.0), most * (1 - LEAST_FIXED))
    return mean_amount - slope * mean_size, slope
