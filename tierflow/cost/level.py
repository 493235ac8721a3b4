"""The level of a positive quantity that is measured with noise, drifts, and sometimes steps.

A Kalman filter of the logarithm (R. E. Kalman, "A New Approach to Linear Filtering and Prediction Problems", 1960)
with a test on each innovation. What is too far off to be noise is a step: it is believed at once, after one sample,
and taken back if the next sample says that it was only a burst. `benchmarks/links.py` compares it with others.
A patient level waits for a second sample before it believes a step: for what has single samples far off as a rule.
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
GATE = 4.0
"""Standard deviations beyond which a sample is a step, not noise."""
PACE = 0.03
"""How fast the noise is learned."""


@dataclass(frozen=True, slots=True)
class Level:
    """The logarithm of the quantity: mean and variance at `time` (seconds), the variance of a sample's noise.

    `other` is where the level may be instead, until a second sample has decided: before the last step or, in a
    `patient` level, after it. `loud` is the most variance that passes for noise.
    """

    mean: float
    variance: float
    noise: float
    time: float
    other: float | None = None
    loud: float = LOUD
    patient: bool = False

    @classmethod
    def known(cls, value: Value, now: float, loud: float = LOUD, *, patient: bool = False) -> Level:
        """The level as it stands in a topology's column, at `now`; what is only declared gives way to any sample."""
        share = 1.0 if value.source <= Source.DECLARED else value.deviation / value.value
        return cls(math.log(value.value), share**2, loud, now, None, loud, patient)

    def observed(self, sample: float, now: float, doubt: float = 0.0) -> Level:
        """The level after a sample (in the unit of the quantity, above 0) that was taken at `now` (seconds).

        `doubt` is the relative standard deviation of how it was taken, beside the quantity's own noise.
        """
        seen = math.log(sample)
        variance = self.variance + DRIFT * max(now - self.time, 0.0)
        surprise = seen - self.mean
        spread = variance + self.noise + doubt**2
        if surprise**2 <= GATE**2 * spread:
            gain = variance / spread
            noise = min(max(self.noise + PACE * (surprise**2 - spread), QUIET), self.loud)
            return self._at(self.mean + gain * surprise, variance * (1 - gain), noise, now)
        if self.other is not None and (seen - self.other) ** 2 <= GATE**2 * spread:
            return self._at(self.other, variance, self.noise, now)
        if self.patient:
            return self._at(self.mean, variance, self.noise, now, other=seen)
        return self._at(seen, self.noise + doubt**2, self.noise, now, other=self.mean)

    def at_least(self, sample: float, now: float, doubt: float = 0.0) -> Level:
        """The level after a sample that only bounds it from below, as that of a sender with too little to send."""
        return self.observed(sample, now, doubt) if math.log(sample) > self.mean else self

    def value(self, now: float, source: Source = Source.MEASURED) -> Value:
        """The quantity at `now` (seconds): less sure the longer nobody has looked."""
        variance = self.variance + DRIFT * max(now - self.time, 0.0)
        mean = math.exp(self.mean)
        return Value(mean, mean * math.sqrt(variance), source)

    def _at(self, mean: float, variance: float, noise: float, now: float, other: float | None = None) -> Level:
        return Level(mean, variance, noise, now, other, self.loud, self.patient)
