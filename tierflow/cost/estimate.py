"""What a formula gives: a number with its unit, its source and how sure it is; one, or one for each node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tierflow.topology.column import Source

__all__ = ["Estimate", "Estimates", "Floats", "Unit"]

Floats = NDArray[np.float64]
Unit = Literal["s", "J", "$", "B"]
"""Seconds, joules, dollars, bytes."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A predicted number, its standard deviation in the same unit, and the weakest source that it is made from."""

    value: float
    deviation: float
    unit: Unit
    source: Source


@dataclass(frozen=True, eq=False, slots=True)
class Estimates:
    """An estimate for each node: values, variances (the unit squared) and sources.

    Sums take parts as independent: variances add, and the weakest source counts of the parts that are not 0.
    """

    unit: Unit
    value: Floats
    variance: Floats
    source: NDArray[np.int8]

    @classmethod
    def of(cls, unit: Unit, value: Floats, variance: Floats | float, source: NDArray[np.int8] | Source) -> Estimates:
        """A column whose variance or source may be one number for all nodes. What is 0 is sure and learned."""
        known = value == 0
        return cls(
            unit,
            value,
            np.where(known, 0.0, variance),
            np.where(known, Source.LEARNED, source).astype(np.int8),
        )

    @classmethod
    def none(cls, unit: Unit, count: int) -> Estimates:
        """Nothing, for each of `count` nodes."""
        return cls.of(unit, np.zeros(count), 0.0, Source.LEARNED)

    def __add__(self, other: Estimates) -> Estimates:
        return Estimates(
            self.unit,
            self.value + other.value,
            self.variance + other.variance,
            np.minimum(self.source, other.source),
        )

    def scaled(self, factor: Floats | float) -> Estimates:
        """This column times an exact factor."""
        return Estimates.of(self.unit, self.value * factor, self.variance * np.square(factor), self.source)

    def at(self, index: int) -> Estimate:
        """The estimate of one node."""
        variance = max(float(self.variance[index]), 0.0)
        return Estimate(float(self.value[index]), variance**0.5, self.unit, Source(self.source[index]))
