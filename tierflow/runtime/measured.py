"""What was measured of a fabric's nodes and links, in a file that the registry writes and `tierflow status` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tierflow.runtime.cache import write_whole
from tierflow.runtime.hardware import Hardware
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

__all__ = ["MEASURED", "Measurements"]

MEASURED = "measured.json"
"""The file's name in the state of a fabric."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """By name: of a node its speed, busy and dispatch, and its hardware; of a link its rate and delay.

    Each number is a mapping of `value`, `deviation` and `source`, in SI units; what nobody has measured is left out.
    """

    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hardware: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, conditions: Conditions, hardware: Mapping[str, Hardware]) -> Measurements:
        """What the conditions hold that was measured."""
        fixed = conditions.fixed
        columns = {"speed": conditions.speed, "busy": conditions.busy, "dispatch": conditions.dispatch}
        nodes = {
            name: _known({word: column.at(at) for word, column in columns.items()}) for name, at in fixed.nodes.items()
        }
        links = {
            name: _known({"rate": conditions.rate.at(at), "delay": conditions.delay.at(at)})
            for name, at in fixed.links.items()
        }
        return cls(nodes, {name: asdict(known) for name, known in hardware.items()}, links)

    def write(self, state: Path) -> None:
        """Write it into the state of a fabric. Raises `OSError` where that cannot be done."""
        write_whole(state / MEASURED, json.dumps(asdict(self)))

    @classmethod
    def read(cls, state: Path) -> Measurements:
        """What the registry has written; nothing where it has not (yet)."""
        with suppress(OSError, ValueError, TypeError):
            return cls(**json.loads((state / MEASURED).read_text()))
        return cls()

    def onto(self, conditions: Conditions) -> Conditions:
        """The conditions with what was measured of the nodes and links that they have.

        Raises:
            KeyError, TypeError, MeasureError: the file holds something else than `write` writes.
        """
        fixed = conditions.fixed
        nodes = {name: NodeChange(**_values(row)) for name, row in self.nodes.items() if name in fixed.nodes}
        links = {name: LinkChange(**_values(row)) for name, row in self.links.items() if name in fixed.links}
        return conditions.changed(nodes, links)


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        word: Value(float(known["value"]), float(known["deviation"]), Source[known["source"].upper()])
        for word, known in row.items()
    }


def _known(values: Mapping[str, Value]) -> dict[str, Any]:
    return {
        word: {"value": value.value, "deviation": value.deviation, "source": value.source.name.lower()}
        for word, value in values.items()
        if value.source > Source.DECLARED
    }
