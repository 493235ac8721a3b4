"""A cluster file as people write it, from a spec: the way back of `parse`."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel

from tierflow import units
from tierflow.topology.policy import PolicySpec
from tierflow.topology.spec import ClusterSpec

__all__ = ["dump", "policy_as_written"]

_WRITERS = {
    "rate": units.RATE,
    "delay": units.DURATION,
    "jitter": units.DURATION,
    "loss": units.SHARE,
    "memory": units.SIZE,
    "limit": units.DECIMAL_SIZE,
    "idle": units.POWER,
    "busy": units.POWER,
    "battery": units.ENERGY,
    "deadline": units.DURATION,
    "max_bytes": units.DECIMAL_SIZE,
    "budget": units.MONEY,
    "energy": units.ENERGY,
}


class _Row(dict[str, Any]):
    """A mapping that is written in one line."""


class _Names(tuple[str, ...]):
    """A list of names that is written in one line."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper that writes each node, each link and each list of names as one row."""


_Dumper.add_representer(
    _Row, lambda dumper, row: dumper.represent_mapping("tag:yaml.org,2002:map", row.items(), flow_style=True)
)
_Dumper.add_representer(
    _Names, lambda dumper, names: dumper.represent_sequence("tag:yaml.org,2002:seq", names, flow_style=True)
)


def dump(spec: ClusterSpec) -> str:
    """The YAML text of `spec`, without what is left at its default. `parse(dump(spec)) == spec`, to the last digit."""
    written: dict[str, Any] = {"name": spec.name, "hosts": spec.hosts, "tiers": _Names(spec.tiers)}
    if spec.sites:
        written["sites"] = _Names(spec.sites)
    if spec.tls is not None:
        written["tls"] = spec.tls
    written["nodes"] = [_written(node, units.PRICE_PER_SECOND) for node in spec.nodes]
    if spec.links:
        written["links"] = [_written(link, units.PRICE_PER_BYTE) for link in spec.links]
    if spec.policy is not None:
        written["policy"] = policy_as_written(spec.policy)
    text: str = yaml.dump(written, Dumper=_Dumper, sort_keys=False, width=1_000_000)
    return text


def policy_as_written(policy: PolicySpec) -> dict[str, Any]:
    """What the policy says, in the words of the file."""
    row = _written(policy, units.MONEY)
    if policy.minimise is not None:
        ((first, weight), *others) = policy.minimise
        weights: dict[str, Any] = {metric: _number(value) for metric, value in policy.minimise}
        row["minimise"] = first if weight == 1 and not others else _Row(weights)
    if policy.order is not None:
        row["order"] = _Names(policy.order)
    return row


def _written(model: BaseModel, price: units.Quantity) -> _Row:
    """The set values of a node or a link, in the words of the file; `price` is what its price is written in."""
    row = _Row()
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if value is None or (not field.is_required() and value == field.default):
            continue
        key = str(field.validation_alias or name)
        if isinstance(value, BaseModel):
            row[key] = _written(value, price)
        elif quantity := price if name == "price" else _WRITERS.get(name):
            row[key] = quantity.write(value)
        else:
            row[key] = _number(value)
    return row


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
