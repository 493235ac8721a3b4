"""Refusals that come again: within a minute each is one line of a log, and one more with how often it came.

So nobody fills a disk by asking again and again. A pure count: its holder keeps it, and says what the time is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["WITHIN", "Held", "again", "due"]

WITHIN = 60.0
"""Seconds in which the same refusal is counted, and not written again."""
MOST = 64
"""Different refusals that are held apart; those beyond are counted as one."""
OTHERS = "others"
_OF, _OF_VALUE = ("what", "node", "by", "stay", "to"), ("kind", "node", "function", "id")

Held = dict[str, dict[str, Any]]
"""By what makes a refusal the same: since when it is held, how often it came again, and what is told of it then."""


def again(held: Held, entry: Mapping[str, Any], now: float) -> bool:
    """Whether a refusal was counted with one before it; if not it is to be written, and is held from now on."""
    told = _told(entry)
    key = json.dumps(told)
    if key not in held and len(held) >= MOST:
        key, told = OTHERS, {"what": "refusal", "by": "others"}
    counts = key in held or key == OTHERS
    row = held.setdefault(key, {"since": now, "times": 0, "entry": told})
    row["times"] += counts
    return counts


def due(held: Held, now: float) -> list[dict[str, Any]]:
    """What is held no longer, as entries for those that came again; a clock that was put back holds nothing."""
    over = [key for key, row in held.items() if not row["since"] <= now < row["since"] + WITHIN]
    rows = [held.pop(key) for key in over]
    return [{**row["entry"], "times": row["times"], "since": row["since"]} for row in rows if row["times"]]


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: entry[name] for name in _OF if name in entry}
    value = entry.get("value")
    return told | {"value": {name: value.get(name) for name in _OF_VALUE}} if isinstance(value, Mapping) else told
