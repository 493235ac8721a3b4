"""The level of a positive quantity that is measured with noise, drifts, and sometimes steps.

A Kalman filter of the logarithm (R. E. Kalman, "A New Approach to Linear Filtering and Prediction Problems", 1960)
with a test on each innovation. What is too far off to be noise is a step: it is believed at once, after one sample,
and taken back if the next sample says that it was only a burst. `benchmarks/links.py` compares it with others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tierflow.topology.column import Source, Value

__all__ = ["Level"]

DRIFT = 2e-4
"""Variance of the logarithm that a second adds: about 11 % in a minute."""
QUIET, LOUD = 0.03**2, 0.15**2
"""The least and the most variance of the logarithm that passes for noise."""
GATE = 3.0
"""Standard deviations beyond which a sample is a step, not noise."""
PACE = 0.1
"""How fast the noise is learned."""


@dataclass(frozen=True, slots=True)
class Level:
    """The logarithm of the quantity: mean and variance at `time` (seconds), the variance of a sample's noise.

    `left` is the mean that the last step left, until a second sample has confirmed the step.
    """

    mean: float
    variance: float
    noise: float
    time: float
    left: float | None = None

    @classmethod
    def known(cls, value: Value, now: float) -> Level:
        """The level as it stands in a topology's column, at `now`; what is only declared gives way to any sample."""
        share = 1.0 if value.source <= Source.DECLARED else value.deviation / value.value
        return cls(math.log(value.value), share**2, LOUD, now)

    def observed(self, sample: float, now: float) -> Level:
        """The level after a sample (in the unit of the quantity, above 0) that was taken at `now` (seconds)."""
        seen = math.log(sample)
        variance = self.variance + DRIFT * max(now - self.time, 0.0)
        surprise = seen - self.mean
        spread = variance + self.noise
        if surprise**2 <= GATE**2 * spread:
            gain = variance / spread
            noise = self.noise + PACE * (surprise**2 - spread)
            return Level(self.mean + gain * surprise, variance * (1 - gain), min(max(noise, QUIET), LOUD), now)
        if self.left is not None and (seen - self.left) ** 2 <= GATE**2 * spread:
            return Level(self.left, variance, self.noise, now)
        return Level(seen, self.noise, self.noise, now, left=self.mean)

    def at_least(self, sample: float, now: float) -> Level:
        """The level after a sample that only bounds it from below, as that of a sender with too little to send."""
        return self.observed(sample, now) if math.log(sample) > self.mean else self

    def value(self, now: float, source: Source = Source.MEASURED) -> Value:
        """The quantity at `now` (seconds): less sure the longer nobody has looked."""
        variance = self.variance + DRIFT * max(now - self.time, 0.0)
        mean = math.exp(self.mean)
        return Value(mean, mean * math.sqrt(variance), source)
