"""What is kept of one call: how it was placed, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

from tierflow.cost.queue import IDLE, wait
from tierflow.planning.choose import Choice
from tierflow.planning.comparison import USABLE, short

__all__ = ["CallRecord", "Made", "Observed", "table_of", "waits"]

LONGEST = 200
"""Characters of an error that are kept."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What came of a call: the node that ran it ("" where nobody knows), seconds from call to result and, of them, in
    the function, bytes of the result, and the error that it ended in.
    """

    node: str
    total: float
    compute: float | None = None
    size: float | None = None
    error: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """A call as the process that made it keeps it; nothing is worked out before it is asked for.

    Attributes:
        call: its id, unique in the fabric.
        function: the title that dashboards show.
        caller: the node that it was made on.
        when: seconds since 1970.
        node: where it was placed; "" where that was left to Ray.
        choice: what it was placed by, or None where there was nothing to choose or nobody to choose.
        asked: what the request asks, in words.
        why: why it was placed there, where there is no choice that says so.
    """

    call: str
    function: str
    caller: str
    when: float
    node: str
    choice: Choice | None = None
    asked: str = "any node"
    why: str = ""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call in about 300 bytes: `Made`, what was predicted for the chosen node, and what was observed.

    `ranking` is the key of the comparison that it was placed by, "" for none. `waits` are the seconds that the queues
    of the compared nodes added; `explores` is that of the choice. `skipped` counts calls of the same process that
    were not recorded since the record before. Times are in seconds, to five digits.
    """

    call: str
    function: str
    caller: str
    when: float
    node: str
    asked: str = ""
    why: str = ""
    ranking: str = ""
    variant: str = ""
    codec: str = ""
    predicted: float | None = None
    compute: float | None = None
    explores: bool = False
    waits: tuple[tuple[str, float], ...] = ()
    observed: Observed | None = None
    skipped: int = 0

    @classmethod
    def of(cls, made: Made, observed: Observed | None = None, ranking: str = "", skipped: int = 0) -> CallRecord:
        """The record of a call, whose comparison is kept under the key `ranking`."""
        observed = _told(observed)
        choice = made.choice
        if choice is None:
            return cls(
                made.call,
                made.function,
                made.caller,
                round(made.when, 3),
                made.node,
                asked=made.asked,
                why=made.why,
                observed=observed,
                skipped=skipped,
            )
        row = choice.ranking.alternative(choice.node, table_of(choice), choice.waited)
        return cls(
            made.call,
            made.function,
            made.caller,
            round(made.when, 3),
            made.node,
            ranking=ranking,
            variant=choice.function,
            codec=choice.codec,
            predicted=short(row.time),
            compute=short(choice.compute),
            explores=choice.explores,
            waits=tuple(waits(choice).items()),
            observed=observed,
            skipped=skipped,
        )

    def line(self) -> str:
        """The record as a line of JSON, without its end; what is empty is left out."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in _NAMES}
        plain = {name: value for name, value in plain.items() if value not in (None, "", (), 0, False)}
        if self.waits:
            plain["waits"] = dict(self.waits)
        if (seen := self.observed) is not None:
            spelled = {name: getattr(seen, name) for name in _SEEN}
            plain["observed"] = {name: value for name, value in spelled.items() if value is not None}
        return json.dumps(plain, separators=(",", ":"), allow_nan=False)

    @classmethod
    def loads(cls, plain: Mapping[str, Any]) -> CallRecord:
        """The record of a line. Raises `TypeError`, `ValueError` or `KeyError` where it is none."""
        observed = Observed(**plain["observed"]) if "observed" in plain else None
        spelled = {"node": "", "caller": "", "function": "", "when": 0.0, **plain}
        return cls(**{**spelled, "observed": observed, "waits": tuple(plain.get("waits", {}).items())})


_NAMES = tuple(field.name for field in fields(CallRecord))
_SEEN = tuple(field.name for field in fields(Observed))


def _told(seen: Observed | None) -> Observed | None:
    """What came of a call with times of five digits, and no more of an error than is kept."""
    if seen is None:
        return None
    compute = None if seen.compute is None else short(seen.compute)
    return replace(seen, total=short(seen.total), compute=compute, error=seen.error and seen.error[:LONGEST])


def table_of(choice: Choice) -> int:
    """The index of the table of the ranking that a choice took its function and codec from."""
    named = [(row.variant.function, row.codec.name) for row in choice.ranking.tables]
    return named.index((choice.function, choice.codec))


def waits(choice: Choice, most: int = USABLE) -> dict[str, float]:
    """Seconds that the queues add on the nodes of the first `most` options and on the chosen one, where they do."""
    options = islice(choice.ranking.best_first(), most)
    found = {option.node: wait(choice.load.get(option.node, IDLE), option.slots) for option in options}
    found[choice.node] = choice.waited
    return {node: short(seconds) for node, seconds in found.items() if seconds}
