"""What is known of a function: its time on each kind of node and the size of its result, by the size of its input."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tierflow.cost.curve import Curve, Knot
from tierflow.cost.estimate import Estimate, Estimates
from tierflow.errors import ProfileError
from tierflow.topology.column import Source
from tierflow.topology.conditions import Conditions

__all__ = ["Profile", "Profiles", "Timing"]

FORMAT = 2
UNKNOWN = 0.01
"""Seconds that a function is taken to need on a node of speed 1 before anything is known of it."""
UNKNOWN_RESULT = 1024.0
"""Bytes that a result is taken to have before one was seen."""
UNKNOWN_DOUBT = 1.0
"""The relative standard deviation of both."""
OTHER_KIND = 0.4
"""Relative standard deviation that is added where the time on one kind of node stands for that on another."""
LEAST = 1e-7
"""Seconds: no call takes less."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds by bytes of input on one kind of node, and the speed of the node where it was last seen."""

    curve: Curve
    speed: float


@dataclass(frozen=True)
class Profile:
    """One function: its timing on each kind of node that has run it, and the bytes that it returns.

    It is `provisional` as long as all that was seen is a first call in a process, which also loaded what it needs:
    better than nothing, and given up for the next call.
    """

    kinds: Mapping[str, Timing] = field(default_factory=dict)
    result: Curve = field(default_factory=Curve)
    provisional: bool = False

    @cached_property
    def version(self) -> int:
        """A fingerprint of what the profile predicts, the same on every machine; noise does not alter it."""
        kinds = sorted((kind, timing.curve.version) for kind, timing in self.kinds.items())
        return zlib.crc32(repr((self.result.version, kinds)).encode())

    def observed(
        self, kind: str, speed: float, size: float, seconds: float, result: float | None = None, *, first: bool = False
    ) -> Profile:
        """The profile after a call on a node of this kind and speed.

        Args:
            kind: of the node, as `Fixed.kinds` names it.
            speed: of the node, relative to one of speed 1.
            size: bytes of input.
            seconds: that the function ran.
            result: bytes that it returned, where that is known.
            first: whether it was the first call in its process; that counts only while nothing else does.
        """
        if first and self.kinds and not self.provisional:
            return self
        if first or self.provisional:
            return replace(Profile().observed(kind, speed, size, seconds, result), provisional=first)
        old = self.kinds.get(kind, Timing(Curve(), speed))
        timing = Timing(old.curve.observed(size, max(seconds, LEAST)), speed)
        known = self.result if result is None else self.result.observed(size, max(result, 1.0))
        return Profile({**self.kinds, kind: timing}, known)

    def compute(self, conditions: Conditions, size: float) -> Estimates:
        """Seconds that an input of `size` bytes takes on each node, with what others keep busy there.

        On a kind that has run the function: its own curve. On another: the curve of the kind with most samples,
        by the ratio of speeds. With no sample at all, a guess that only says which node is faster.
        """
        fixed = conditions.fixed
        donor = max(self.kinds, key=lambda kind: (self.kinds[kind].curve.count, kind), default=None)
        rows = [self._seconds(kind, donor, size) for kind in fixed.kinds]
        seconds, doubt, per_speed, source = (np.array(column)[fixed.kind] for column in zip(*rows, strict=True))
        speed = conditions.speed
        scaled = np.where(per_speed, seconds / speed.value, seconds)
        share = np.where(per_speed, speed.deviation / speed.value, 0.0)
        source = np.where(per_speed, np.minimum(source, speed.source), source)
        value = scaled / (1.0 - conditions.busy.value)
        return Estimates.of(
            "s", value, np.square(value) * (np.square(doubt) + np.square(share)), source.astype(np.int8)
        )

    def returns(self, size: float) -> Estimate:
        """Bytes that the result of an input of `size` bytes has."""
        if not self.result.knots:
            return Estimate(UNKNOWN_RESULT, UNKNOWN_RESULT * UNKNOWN_DOUBT, "B", Source.DECLARED)
        return Estimate(*self.result.at(size), "B", Source.LEARNED)

    def _seconds(self, kind: str, donor: str | None, size: float) -> tuple[float, float, bool, Source]:
        """Seconds (of a node of speed 1, if the third is true), the relative deviation, and the source."""
        if kind in self.kinds:
            value, deviation = self.kinds[kind].curve.at(size)
            return value, deviation / value, False, Source.LEARNED
        if donor is None:
            return UNKNOWN, UNKNOWN_DOUBT, True, Source.DECLARED
        value, deviation = self.kinds[donor].curve.at(size)
        doubt = float(np.hypot(deviation / value, OTHER_KIND))
        return value * self.kinds[donor].speed, doubt, True, Source.LEARNED


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of a fabric by function, and the text of the one small file that keeps them."""

    functions: Mapping[str, Profile] = field(default_factory=dict)

    def of(self, function: str) -> Profile:
        """What is known of a function; an empty profile if nothing is."""
        return self.functions.get(function, _EMPTY)

    def with_profile(self, function: str, profile: Profile) -> Profiles:
        """These profiles with one in place of what was known of its function."""
        return Profiles({**self.functions, function: profile})

    def merged(self, other: Profiles) -> Profiles:
        """What two processes learned: of each curve the one with more samples, so that merging twice changes nothing.

        The order does not matter either; what the curve with fewer samples knew is given up.
        """
        names = sorted({*self.functions, *other.functions})
        return Profiles({name: _merged(self.of(name), other.of(name)) for name in names})

    def dumps(self) -> str:
        """The text of the file: one line of JSON for each function, in order of names."""
        rows = [json.dumps({"format": FORMAT})]
        for name, profile in sorted(self.functions.items()):
            kinds = {kind: [timing.speed, *_plain(timing.curve)] for kind, timing in sorted(profile.kinds.items())}
            row = {"function": name, "kinds": kinds, "result": _plain(profile.result)}
            rows.append(json.dumps(row | ({"provisional": True} if profile.provisional else {})))
        return "\n".join([*rows, ""])

    @classmethod
    def loads(cls, text: str) -> Profiles:
        """The profiles in the text of a file.

        Raises:
            ProfileError: the text is not one of `dumps`; says which line.
        """
        functions = {}
        mend = "remove the file: what it held is learned again"
        for number, line in enumerate(text.splitlines(), 1):
            try:
                row = json.loads(line)
                if number == 1:
                    if row["format"] != FORMAT:
                        raise ProfileError(f"the profiles are of format {row['format']}, not {FORMAT}", mend)
                    continue
                kinds = {
                    kind: Timing(_curve(plain), _positive(speed)) for kind, (speed, *plain) in row["kinds"].items()
                }
                provisional = bool(row.get("provisional", False))
                functions[str(row["function"])] = Profile(kinds, _curve(row["result"]), provisional)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if isinstance(error, ProfileError):
                    raise
                raise ProfileError(f"line {number} of the profiles cannot be read ({error!r})", mend) from None
        return cls(functions)


_EMPTY = Profile()


def _merged(a: Profile, b: Profile) -> Profile:
    if a.provisional != b.provisional:
        firm, loose = (b, a) if a.provisional else (a, b)
        return firm if firm.kinds else loose
    kinds = {kind: _fuller(a.kinds.get(kind), b.kinds.get(kind)) for kind in sorted({*a.kinds, *b.kinds})}
    return Profile(kinds, max(a.result, b.result, key=_rank), a.provisional)


def _fuller(a: Timing | None, b: Timing | None) -> Timing:
    known = [timing for timing in (a, b) if timing is not None]
    return max(known, key=lambda timing: (_rank(timing.curve), timing.speed))


def _rank(curve: Curve) -> tuple[int, int, list[tuple[float, ...]]]:
    return curve.count, curve.version, [astuple(knot) for knot in curve.knots]


def _plain(curve: Curve) -> list[Any]:
    return [curve.count, [astuple(knot) for knot in curve.knots]]


def _curve(plain: list[Any]) -> Curve:
    count, rows = plain
    knots = tuple(Knot(*row) for row in rows)
    for knot in knots:
        _positive(knot.amount), _positive(knot.spread), _positive(knot.count), _positive(knot.size + 1.0)
    if [knot.size for knot in knots] != sorted(knot.size for knot in knots):
        raise ValueError("the knots are not in order")
    return Curve.of(knots, int(count))


def _positive(number: float) -> float:
    if not 0 < number < float("inf"):
        raise ValueError(f"{number} is not above 0")
    return float(number)
