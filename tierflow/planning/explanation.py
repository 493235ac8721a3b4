"""Why a call was placed where it was, what else there was, and what came of it against what was predicted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from tierflow.cost.call import Input
from tierflow.planning.account import CallRecord, Made, Observed, table_of
from tierflow.planning.comparison import Comparison, key, told
from tierflow.planning.plain import plain_alternative, plain_policy, policy_of, read_alternative
from tierflow.planning.policy import Policy
from tierflow.planning.prose import LEGEND, filled, moved, policy_words, reason, show_seconds, tabled
from tierflow.planning.rank import Alternative
from tierflow.units import show_bytes

__all__ = ["Explanation"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One call, explained; `str()` of it is a table of at most 120 columns.

    Attributes:
        call: its id.
        function: the title that dashboards show.
        caller: the node it was made on.
        when: seconds since 1970.
        asked: what the request asks, in words.
        policy: what was minimised and kept; None where no policy was looked at.
        inputs: where they are, how large (up to 3 % above the truth), and what they may not leave.
        node: where the call was placed; "" where that was left to Ray.
        variant: the function that was chosen to do the job; codec: how fetched data is packed.
        why: the reason, a sentence.
        predicted: seconds from call to result; compute: of them in the function. None where nothing was predicted.
        alternatives: the first usable ones in order of preference, then what is ruled out; numbers have five digits,
            NaN is unknown.
        more_usable, more_ruled_out: how many were left out of `alternatives`.
        observed: what came of the call; None until it is there.
        skipped: calls of the same process that were not recorded since the last one that was.
    """

    call: str
    function: str
    caller: str
    when: float
    asked: str
    policy: Policy | None
    inputs: tuple[Input, ...]
    node: str
    variant: str
    codec: str
    why: str
    predicted: float | None
    compute: float | None
    alternatives: tuple[Alternative, ...] = ()
    more_usable: int = 0
    more_ruled_out: int = 0
    observed: Observed | None = None
    skipped: int = 0

    @classmethod
    def of(cls, made: Made, observed: Observed | None = None) -> Explanation:
        """The explanation of a call that this process made: milliseconds of work, so only where one is asked for."""
        record = CallRecord.of(made, observed)
        if made.choice is None:
            return cls.joined(record, None)
        ranking = made.choice.ranking
        row = told(ranking.alternative(made.choice.node, table_of(made.choice), 0.0))
        return cls.joined(record, Comparison.of(ranking).having(row))

    @classmethod
    def joined(cls, record: CallRecord, comparison: Comparison | None) -> Explanation:
        """The explanation of a call that was written down; without its comparison it has no alternatives."""
        rows: tuple[Alternative, ...] = ()
        if comparison is not None:
            rows = comparison.waiting(dict(record.waits), (record.node, record.variant, record.codec))
        told_usable = sum(not row.ruled_out for row in comparison.rows) if comparison else 0
        return cls(
            record.call,
            record.function,
            record.caller,
            record.when,
            (comparison.asked if comparison else record.asked) or "any node",
            comparison.policy if comparison else None,
            comparison.inputs if comparison else (),
            record.node,
            record.variant,
            record.codec,
            reason(record, comparison, rows),
            record.predicted,
            record.compute,
            rows,
            comparison.usable - told_usable if comparison else 0,
            comparison.ruled_out - len(comparison.rows) + told_usable if comparison else 0,
            record.observed,
            record.skipped,
        )

    def with_observed(
        self, node: str, total: float, compute: float | None, size: float | None, error: str | None = None
    ) -> Explanation:
        """The explanation with what came of the call; the arguments are those of `Observed`."""
        return replace(self, observed=Observed(node, total, compute, size, error))

    @property
    def chosen(self) -> Alternative | None:
        """The alternative that was chosen, where alternatives were compared."""
        place = self.node, self.variant, self.codec
        return next((row for row in self.alternatives if key(row) == place), None)

    @property
    def ratio(self) -> float | None:
        """Observed time by predicted time; None where one of them is missing or the call ended in an error."""
        seen = self.observed
        if seen is None or seen.error is not None or not self.predicted:
            return None
        return seen.total / self.predicted

    @property
    def note(self) -> str:
        """That the call ran elsewhere than it was placed, in words; "" where it did not."""
        return moved(self.node, self.observed)

    def __str__(self) -> str:
        rows = "\n".join(tabled(self.alternatives, self.chosen))
        return "\n".join([*self._head(), *([rows, *self._foot()] if rows else [])])

    def _head(self) -> Iterator[str]:
        called = (
            f"{self.function}, called from {self.caller} at {np.datetime64(int(self.when), 's')}Z, call {self.call}"
        )
        yield from filled("", called)
        yield from filled("asked", self.asked)
        if self.policy is not None:
            yield from filled("policy", policy_words(self.policy))
        for item in self.inputs:
            stay = {"device": ", stays on its device", "site": ", stays at its site", None: ""}[item.stay]
            yield from filled("input", f"{show_bytes(float(f'{item.size:.3g}'))} on {item.at}{stay}")
        yield from filled("placed on", f"{self.node or 'any node'}: {self.why}")
        if self.predicted is not None:
            inside = f", {show_seconds(self.compute)} of it in the function"
            yield from filled("predicted", show_seconds(self.predicted) + inside)
        times = "" if self.ratio is None else f", {self.ratio:.3g} x the prediction"
        yield from filled("observed", "nothing yet" if self.observed is None else _seen(self.observed) + times)
        if self.note:
            yield from filled("note", self.note)

    def _foot(self) -> Iterator[str]:
        if self.more_usable or self.more_ruled_out:
            yield f"  and {self.more_usable} more that can run it, {self.more_ruled_out} more that are ruled out"
        yield f"  {LEGEND}"

    @property
    def usable(self) -> int:
        """How many ways to run the call nothing rules out."""
        return self.more_usable + sum(not row.ruled_out for row in self.alternatives)

    def to_json(self) -> str:
        """The explanation as a JSON object: SI units, null for what is unknown, the keys of the attributes."""
        return json.dumps(self.as_dict(), allow_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """What `to_json` writes, as plain values; `ratio` and `note` are told as well."""
        plain = {name: getattr(self, name) for name in _names()}
        plain["policy"] = plain_policy(self.policy) if self.policy else None
        plain["inputs"] = [
            {name: each for name, each in asdict(item).items() if name != "packs"} for item in self.inputs
        ]
        plain["alternatives"] = [plain_alternative(row) for row in self.alternatives]
        plain["observed"] = asdict(self.observed) if self.observed else None
        return {**plain, "ratio": self.ratio, "note": self.note}

    @classmethod
    def from_json(cls, text: str) -> Explanation:
        """The explanation that `to_json` wrote. Raises `ValueError`, `TypeError` or `KeyError` where it is none."""
        plain = json.loads(text)
        given = {name: plain[name] for name in _names()}
        given["policy"] = policy_of(plain["policy"]) if plain["policy"] else None
        given["inputs"] = tuple(Input(**item) for item in plain["inputs"])
        given["alternatives"] = tuple(read_alternative(row) for row in plain["alternatives"])
        given["observed"] = Observed(**plain["observed"]) if plain["observed"] else None
        return cls(**given)


def _names() -> list[str]:
    return [field.name for field in fields(Explanation)]


def _seen(seen: Observed) -> str:
    """What was observed, in words."""
    where = f" on {seen.node}" if seen.node else ""
    parts = [
        f"{show_seconds(seen.total)}{where}",
        "" if seen.compute is None else f"{show_seconds(seen.compute)} of it in the function",
        "" if seen.size is None else f"a result of {show_bytes(float(f'{seen.size:.3g}'))}",
        "" if seen.error is None else f"ended in {seen.error}",
    ]
    return ", ".join(part for part in parts if part)
