"""The lines in which calls are written down: written where they are made, read where they are explained.

Each is a JSON object without its end of line. ``{"ranking": KEY, ...}`` is a `Comparison`, written once for the calls
that it placed; ``{"row": [...], "of": KEY}`` adds a row to it; ``{"call": ID, ...}`` is a `CallRecord`, always after
the lines that it needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from tierflow.planning.account import CallRecord, Made, Observed, table_of
from tierflow.planning.comparison import Comparison, key, told
from tierflow.planning.explanation import Explanation
from tierflow.planning.plain import plain_row, row_of
from tierflow.planning.rank import Alternative, Ranking

__all__ = ["Recorder", "explanations"]

RATE = 16e3
"""Bytes per second that one process writes down in the long run: about 1 % of a link of 10 Mbit/s."""
BURST = 256e3
"""Bytes that it may write down at once, after it wrote little; also what may wait to be taken."""
AGAIN = 60.0
"""Seconds after which a comparison is written down again, so that it is kept as long as the calls that need it."""


@dataclass(slots=True)
class _Told:
    """A comparison that was written down: its key, when, and the rows that it has."""

    key: str
    when: float
    rows: set[tuple[str, str, str]]


class Recorder:
    """Turns the finished calls of one process into lines, up to `RATE`; what is beyond is counted, not recorded.

    What is left out is spread evenly over the time. One object serves one process; it is not shared between threads.

    Args:
        name: of the process, unique in the fabric: the keys of its rankings begin with it.
    """

    def __init__(self, name: str, rate: float = RATE, burst: float = BURST) -> None:
        self._name, self._rate, self._burst = name, rate, burst
        self._allowed, self._now = burst, float("-inf")
        self._told: WeakKeyDictionary[Ranking, _Told] = WeakKeyDictionary()
        self._count = self._skipped = 0
        self._lines: list[str] = []
        self._waiting = 0

    def add(self, made: Made, observed: Observed | None, now: float) -> bool:
        """Record a call that has ended at `now` (seconds of a steady clock); false where it is only counted."""
        self._allowed = min(self._burst, self._allowed + self._rate * max(now - self._now, 0.0))
        self._now = now
        if self._allowed <= 0 or self._waiting >= self._burst:
            self._skipped += 1
            return False
        ranking = self._placed_by(made, now) if made.choice is not None else ""
        self._write(CallRecord.of(made, observed, ranking, self._skipped).line())
        self._skipped = 0
        return True

    def take(self) -> list[str]:
        """The lines since the last time, oldest first."""
        lines, self._lines, self._waiting = self._lines, [], 0
        return lines

    def _placed_by(self, made: Made, now: float) -> str:
        """The key of the comparison that placed the call, which is written down first if it has to be."""
        choice = made.choice
        assert choice is not None
        known = self._told.get(choice.ranking)
        if known is None or now >= known.when + AGAIN:
            self._count += known is None
            name = known.key if known else f"{self._name}-{self._count}"
            comparison = Comparison.of(choice.ranking)
            self._write(_line({"ranking": name, **comparison.plain()}))
            known = self._told[choice.ranking] = _Told(name, now, set(map(key, comparison.rows)))
        place = choice.node, choice.function, choice.codec
        if place not in known.rows:
            row = told(choice.ranking.alternative(choice.node, table_of(choice), 0.0))
            self._write(_line({"row": plain_row(row), "of": known.key}))
            known.rows.add(place)
        return known.key

    def _write(self, line: str) -> None:
        self._lines.append(line)
        self._waiting += len(line)
        self._allowed -= len(line)


def explanations(newest_first: Iterable[str], last: int, call: str = "") -> tuple[Explanation, ...]:
    """The last calls that were written down, oldest first; lines that cannot be read are passed over.

    Args:
        newest_first: the lines of recorders, those of each in the reverse of their order.
        last: how many calls.
        call: how the id of each call begins.
    """
    found: list[CallRecord] = []
    open_: dict[str, _Open] = {}
    compared: dict[int, Comparison] = {}
    start = '{"call":' + json.dumps(call)[:-1]
    for line in newest_first:
        if len(found) >= last and not open_:
            break
        try:
            if len(found) < last and line.startswith(start):
                record = CallRecord.loads(json.loads(line))
                if record.ranking:
                    open_.setdefault(record.ranking, _Open([], [])).calls.append(len(found))
                found.append(record)
            elif open_ and line.startswith('{"row":'):
                plain = json.loads(line)
                if plain["of"] in open_:
                    open_[plain["of"]].rows.append(row_of(plain["row"]))
            elif open_ and line.startswith('{"ranking":'):
                plain = json.loads(line)
                if plain["ranking"] in open_:
                    compared.update(_closed(Comparison.loads(plain), open_.pop(plain["ranking"])))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            continue
    joined = [Explanation.joined(record, compared.get(index)) for index, record in enumerate(found)]
    return tuple(reversed(joined))


@dataclass(frozen=True, slots=True)
class _Open:
    """Calls whose comparison is still to come, by index, and the rows that were added to it before them."""

    calls: list[int]
    rows: list[Alternative]


def _closed(comparison: Comparison, waiting: _Open) -> dict[int, Comparison]:
    """The comparison of each call that waited for it, with the rows that were added."""
    for row in waiting.rows:
        comparison = comparison.having(row)
    return dict.fromkeys(waiting.calls, comparison)


def _line(plain: dict[str, Any]) -> str:
    return json.dumps(plain, separators=(",", ":"), allow_nan=False)
