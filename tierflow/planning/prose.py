"""What an explanation says in words and in a table of plain text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from tierflow.cost.estimate import Estimate
from tierflow.planning.account import CallRecord, Observed
from tierflow.planning.comparison import Comparison, key
from tierflow.planning.plain import PARTS
from tierflow.planning.policy import Policy
from tierflow.planning.rank import Alternative
from tierflow.topology import Metric
from tierflow.topology.column import Source
from tierflow.units import DURATION, ENERGY, show_bytes

__all__ = ["LEGEND", "filled", "moved", "policy_words", "reason", "show_cost", "show_seconds", "tabled"]

WIDTH = 120
"""Columns of a table, at most."""
NAME = 18
"""Columns of a node's name, and of a function's and codec's, at most."""
MARKS: Mapping[Source, str] = {Source.MODELLED: "~", Source.DECLARED: "D", Source.MEASURED: "M", Source.LEARNED: "L"}
_PART: Mapping[Metric, str] = {"energy": "energy", "money": "money", "bytes": "size"}
TITLES = ("compute", "transfer", "dispatch", "queue", "codec", "bytes", "energy ~", "money")
LEGEND = "±: standard deviation; D declared, M measured, L learned, ~ modelled; energy is always modelled"


def show_seconds(seconds: float | None) -> str:
    """Seconds to three digits, with the unit; a dash for none."""
    return "-" if seconds is None or math.isnan(seconds) else DURATION.show(seconds, 3)


def show_money(dollars: float) -> str:
    """Dollars to three digits."""
    return f"${dollars:.3g}"


def show_cost(policy: Policy, row: Alternative) -> str:
    """What the policy minimises, of one alternative: with its unit if that is one metric."""
    metric = policy.weights[0][0]
    if len(policy.weights) > 1:
        return f"{row.cost:.4g}"
    if metric == "latency":
        return show_seconds(row.time)
    part: Estimate = getattr(row, _PART[metric])
    return _value(part) if part.value else "none"


def goal(policy: Policy) -> str:
    """What the policy minimises, in words: ``least latency``, ``least latency + 50 x money``."""
    named = [metric if weight == 1 else f"{weight:g} x {metric}" for metric, weight in policy.weights]
    return f"least {' + '.join(named) if len(named) > 1 else policy.weights[0][0]}"


def policy_words(policy: Policy) -> str:
    """The policy in words: ``the least latency, with a result in 50 ms``."""
    text = f"the {goal(policy)}"
    if policy.order:
        text += f", tiers in the order {', '.join(policy.order)}"
    if policy.asked:
        text += f", with {policy.asked}"
    return text + (f", kept by {policy.margin:g} standard deviations" if policy.margin else "")


def reason(record: CallRecord, comparison: Comparison | None, rows: Sequence[Alternative]) -> str:
    """Why the call was placed where it was, in one sentence; `rows` are those of the comparison with its waits."""
    usable = [row for row in rows if not row.ruled_out]
    here = next((row for row in usable if key(row) == (record.node, record.variant, record.codec)), None)
    if comparison is None or here is None:
        gone = "it was compared with others, which are no longer kept" if record.ranking else ""
        return record.why or gone or f"asked for {record.asked}"
    late = sum(not row.ruled_out for row in comparison.rows) - len(usable)
    count, policy = comparison.usable - late, comparison.policy
    if count == 1:
        return "it is the only one that can run it"
    best = usable[0]
    if record.explores:
        return f"it is tried now and then, since it might be better than {best.node}, which is predicted to be the best"
    if best is not here and show_cost(policy, best) != show_cost(policy, here):
        return f"the call before was placed there, and {best.node} would save too little to move"
    first = policy.order and best.tier in policy.order and any(row.tier != here.tier for row in usable)
    among = f"comes first in the order of tiers and has the {goal(policy)}" if first else f"has the {goal(policy)}"
    other = next((row for row in usable if row is not here), here)
    against = f", against {show_cost(policy, other)} on {other.node}" if other is not here else ""
    return f"of {count} ways to run it, it {among}: {show_cost(policy, here)}{against}"


def moved(node: str, seen: Observed | None) -> str:
    """That a call ran elsewhere than it was placed, in words; "" where it did not."""
    if seen is None or not seen.node or not node or seen.node == node:
        return ""
    return f"it ran on {seen.node}, not on {node}: Ray took the next best, as {node} was busy or gone"


def filled(label: str, text: str) -> list[str]:
    """Text under a label as lines of at most `WIDTH` columns; without a label, from the first column."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    first = f"  {label.ljust(9)}  " if label else ""
    return textwrap.wrap(plain, WIDTH, initial_indent=first, subsequent_indent=" " * 13) or [first.rstrip()]


def tabled(rows: Sequence[Alternative], chosen: Alternative | None) -> Iterator[str]:
    """The alternatives as lines: values, and under them the deviation and the source of each or what rules them out."""
    if not rows:
        return
    several = len({(row.function, row.codec) for row in rows}) > 1
    wide = min(max(len(row.node) for row in rows), NAME)
    ways = [_way(row) if several else "" for row in rows]
    wide = max(wide, *(min(len(way), NAME) for way in ways)) + 3
    yield _line("  node", wide, ("time", *TITLES))
    for row, way in zip(rows, ways, strict=True):
        mark = "> " if row is chosen else "x " if row.ruled_out else "  "
        values = (show_seconds(row.time), *(_value(getattr(row, name)) for name in PARTS))
        yield _line(mark + _cut(row.node, NAME), wide, values)
        under = tuple(_doubt(getattr(row, name)) for name in PARTS)
        if not row.ruled_out:
            yield _line("  " + _cut(way, NAME), wide, ("", *under))
        else:
            words = f"{way}: {row.ruled_out}" if way else row.ruled_out
            yield f"  ruled out: {_cut(words, WIDTH - 13)}"


def _way(row: Alternative) -> str:
    return row.function.rsplit(".", 1)[-1] + ("" if row.codec == "raw" else f" {row.codec}")


def _line(name: str, wide: int, cells: Sequence[str]) -> str:
    return (name.ljust(wide) + "".join(_cut(cell, 10).ljust(11) for cell in cells)).rstrip()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _value(part: Estimate) -> str:
    if part.value == 0:
        return "-"
    if math.isnan(part.value):
        return "?"
    if part.unit == "s":
        return show_seconds(part.value)
    if part.unit == "B":
        return show_bytes(float(f"{part.value:.3g}"))
    return ENERGY.show(part.value, 3) if part.unit == "J" else show_money(part.value)


def _doubt(part: Estimate) -> str:
    if part.value == 0 or math.isnan(part.value):
        return ""
    if part.deviation == 0:
        return MARKS[part.source]
    share = part.deviation / abs(part.value)
    return f"±{share * 100:.0f}% {MARKS[part.source]}" if share < 10 else f"±{share:.0f}x {MARKS[part.source]}"
