"""The policy of a cluster file: what placements minimise and keep where no call says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tierflow.errors import UnitError
from tierflow.topology.quantities import Delay, Dollars, Joules, Name, Size

__all__ = ["METRICS", "Metric", "OnCut", "PolicySpec", "Stay", "scope_of", "strictest"]

Stay = Literal["device", "site"]
"""What an input may not leave."""
OnCut = Literal["local", "queue", "fail"]
"""What becomes of a call to nodes that are cut off: it runs elsewhere, it waits for them, or it fails at once."""
Metric = Literal["latency", "energy", "money", "bytes"]
"""Seconds from call to result, joules, dollars, bytes that leave a node."""
METRICS: tuple[Metric, ...] = get_args(Metric)


_ORDER: tuple[Stay | None, ...] = (None, "site", "device")


def strictest(stays: Iterable[Stay | None]) -> Stay | None:
    """What may not be left by what is made of values with these labels: a device is narrower than its site."""
    return max(stays, key=_ORDER.index, default=None)


def scope_of(stay: Stay, node: str, site: str) -> str:
    """What a value of a node and site may not leave, by name."""
    return node if stay == "device" else site


def _weights(value: Any) -> Any:
    """One metric, or a weight for each, as pairs in the order of `METRICS`."""
    weights: Any = {value: 1.0} if isinstance(value, str) else value
    weights = dict(weights) if isinstance(weights, Mapping | tuple) else {}
    if set(weights) - set(METRICS) or not all(map(_is_weight, weights.values())) or not any(weights.values()):
        wanted = f"metric ({', '.join(METRICS)}) or a weight for each"
        raise UnitError(str(value), wanted, "{latency: 1, money: 50}")
    return tuple((metric, float(weights[metric])) for metric in METRICS if weights.get(metric))


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e18


_Weights = Annotated[tuple[tuple[Metric, float], ...], BeforeValidator(_weights)]


class PolicySpec(BaseModel):
    """What placements minimise and which constraints they keep, where neither the call nor its function says it.

    `minimise` is pairs of metric and weight (in the file one metric, or a mapping), `deadline` is in seconds,
    `max_bytes` in bytes, `budget` in dollars and `energy` in joules, each for one call. `stay` forbids inputs to leave
    their device or site, `order` names tiers, the best first, `accuracy` is the least share of a variant, `margin` a
    number of standard deviations, `lossy` by how much numbers may be off on a slow link, `on_cut` what becomes of calls
    to nodes that are cut off. What is None is not said.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    minimise: _Weights | None = None
    deadline: Delay | None = None
    max_bytes: Size | None = None
    budget: Dollars | None = None
    energy: Joules | None = None
    stay: Stay | None = None
    order: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)] | None = None
    accuracy: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    margin: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = None
    lossy: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    on_cut: OnCut | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is said, by name: the options of a `planning.Policy`."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value is not None}
