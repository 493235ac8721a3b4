"""Policies and alternatives as JSON has them: whole, and short for lines of which there are many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tierflow.cost.estimate import Estimate, Unit
from tierflow.planning.policy import Policy
from tierflow.planning.rank import Alternative
from tierflow.topology.column import Source

__all__ = ["PARTS", "plain_alternative", "plain_policy", "plain_row", "policy_of", "read_alternative", "row_of"]

PARTS: Mapping[str, Unit] = {
    "compute": "s",
    "transfer": "s",
    "dispatch": "s",
    "queue": "s",
    "packing": "s",
    "size": "B",
    "energy": "J",
    "money": "$",
}
"""The estimates of an `Alternative`, with their units; those in seconds add up to its time."""
_WORDS = ("node", "tier", "site", "function", "codec", "ruled_out")


def plain_alternative(row: Alternative) -> dict[str, Any]:
    """An alternative with the keys of its attributes and its time; null for NaN, sources by name."""
    parts = {}
    for name in PARTS:
        part: Estimate = getattr(row, name)
        parts[name] = {
            "value": _null(part.value),
            "deviation": _null(part.deviation),
            "source": part.source.name.lower(),
        }
    return {**{name: getattr(row, name) for name in _WORDS}, "time": _null(row.time), "cost": _null(row.cost), **parts}


def read_alternative(plain: Mapping[str, Any]) -> Alternative:
    """The alternative that `plain_alternative` wrote. Raises `ValueError`, `TypeError` or `KeyError` for none."""
    parts: dict[str, Any] = {}
    for name, unit in PARTS.items():
        part = plain[name]
        source = Source[part["source"].upper()]
        parts[name] = Estimate(_number(part["value"]), _number(part["deviation"]), unit, source)
    return Alternative(**{name: plain[name] for name in _WORDS}, cost=_number(plain["cost"]), **parts)


def plain_row(row: Alternative) -> list[Any]:
    """A row as a list: node, tier, site, function, codec, cost, what rules it out, then each of `PARTS`.

    A part is [value, deviation, source], or 0 for what is certainly nothing.
    """
    parts: list[Any] = []
    for name in PARTS:
        part: Estimate = getattr(row, name)
        known = part.value == 0 and part.deviation == 0 and part.source == Source.LEARNED
        parts.append(0 if known else [_null(part.value), _null(part.deviation), int(part.source)])
    return [row.node, row.tier, row.site, row.function, row.codec, _null(row.cost), row.ruled_out, *parts]


def row_of(plain: list[Any]) -> Alternative:
    """The row that `plain_row` wrote. Raises `ValueError` or `TypeError` where it is none."""
    node, tier, site, function, codec, cost, ruled_out, *parts = plain
    read: dict[str, Any] = {
        name: Estimate(_number(part[0]), _number(part[1]), unit, Source(part[2]))
        if part
        else Estimate(0.0, 0.0, unit, Source.LEARNED)
        for (name, unit), part in zip(PARTS.items(), parts, strict=True)
    }
    return Alternative(node, tier, site, function, codec, cost=_number(cost), ruled_out=ruled_out, **read)


def plain_policy(policy: Policy) -> dict[str, Any]:
    """The policy as JSON has it: the weights by metric, and whatever else is set."""
    given = {field.name: getattr(policy, field.name) for field in fields(policy) if field.compare}
    given.pop("weights")
    return {"weights": dict(policy.weights)} | {
        name: value for name, value in given.items() if value not in (None, ()) and (name != "margin" or value)
    }


def policy_of(plain: Mapping[str, Any]) -> Policy:
    """The policy that `plain_policy` wrote. Raises `TypeError` or `KeyError` where it is none."""
    given = {**plain, "weights": tuple(plain["weights"].items())}
    return Policy(**given | {"order": tuple(plain.get("order", ()))})


def _null(number: float) -> float | None:
    return None if math.isnan(number) else number


def _number(plain: float | None) -> float:
    return math.nan if plain is None else float(plain)
