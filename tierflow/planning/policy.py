"""What a placement should minimise, and what it must keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

from tierflow.errors import OptionError
from tierflow.topology import METRICS, Metric, OnCut, PolicySpec, Stay
from tierflow.units import duration, energy, money, show_bytes, show_duration, show_energy, size

__all__ = ["POLICY_OPTIONS", "Policy"]

_MEND = {
    "minimise": "write one of latency, energy, money, bytes, or a weight for each: {'latency': 1, 'money': 50}",
    "deadline": "write it like '50 ms'",
    "max_bytes": "write it like '1 MB'",
    "budget": "write dollars, like 0.001 or '0.001 $'",
    "energy": "write it like '2 J'",
    "stay": "write 'device' or 'site'",
    "order": "write the tiers, best first, like ('edge', 'cloud')",
    "accuracy": "write a share from 0 to 1, like 0.9",
    "lossy": "write a share of the largest number from 0 to 1, like 0.01",
    "on_cut": "write 'local', 'queue' or 'fail'",
    "margin": "write a number of standard deviations, like 1.6",
}
POLICY_OPTIONS = tuple(_MEND)
"""The options that a policy is written with."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Minimise a weighted sum of metrics under constraints; without any, the latency under none.

    `weights` are per second, joule, dollar and byte. `deadline` (seconds), `max_bytes`, `budget` (dollars) and
    `energy` (joules, modelled) bound what one call may take, by `margin` standard deviations. `stay` forbids inputs
    to leave their device or site. Of two tiers in `order` the first wins whatever it costs, and tiers that are not in
    it come last. `on_cut` says what becomes of a call to nodes that are cut off; None: it runs on others if it may run
    there, and fails if not. `accuracy` is the least a variant must have; None admits only the function that was called.
    `lossy` is by how much the numbers in a call's arguments and result may be off so that fewer bytes cross a slow
    link, as a share of the largest magnitude in their tensor or array; a reference keeps what the call that made it
    allowed.

    `given` are the fields that were asked for although their value is the default, so that `over` knows them.
    """

    weights: tuple[tuple[Metric, float], ...] = (("latency", 1.0),)
    deadline: float | None = None
    max_bytes: float | None = None
    budget: float | None = None
    energy: float | None = None
    stay: Stay | None = None
    order: tuple[str, ...] = ()
    accuracy: float | None = None
    margin: float = 0.0
    on_cut: OnCut | None = None
    lossy: float = 0.0
    given: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    @classmethod
    def of(cls, **given: Any) -> Policy:
        """The policy of options as people write them: `minimise` is a metric or weights, quantities may be text.

        Raises:
            OptionError: an option that does not exist, or a value it can't have.
        """
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in _MEND:
                raise OptionError(name, "a policy has no such option", f"there is: {', '.join(_MEND)}")
            try:
                values["weights" if name == "minimise" else name] = _READ[name](value)
            except (ValueError, TypeError, KeyError) as error:
                raise OptionError(name, f"{value!r} is not one", _MEND[name]) from error
        return cls(**values, given=frozenset(values))

    @classmethod
    def of_file(cls, spec: PolicySpec | None) -> Policy:
        """The policy of a cluster file, which may have none."""
        return cls() if spec is None else cls.of(**spec.given)

    def over(self, default: Policy) -> Policy:
        """This policy, with what it does not ask for as the default has it: call over function over fabric."""
        if not default.asks:
            return self
        mine = self.asks
        return replace(default, **{name: getattr(self, name) for name in mine}, given=default.given | mine)

    def without(self, options: Iterable[str]) -> Policy:
        """This policy as if these options had not been asked for."""
        names = {"weights" if name == "minimise" else name for name in options}
        defaults: dict[str, Any] = {item.name: item.default for item in fields(self) if item.name in names}
        return replace(self, **defaults, given=self.given - names) if names else self

    @property
    def asks(self) -> frozenset[str]:
        """The names of the fields that were asked for: those that were given, and all that differ from the default."""
        own = (item for item in fields(self) if item.name != "given")
        return self.given | {item.name for item in own if getattr(self, item.name) != item.default}

    def weight(self, metric: Metric) -> float:
        """The weight of a metric; 0 for one that is not minimised."""
        return dict(self.weights).get(metric, 0.0)

    @property
    def asked(self) -> str:
        """The constraints in words: ``a result in 50 ms, inputs that stay at their site``."""
        parts = [
            "" if self.deadline is None else f"a result in {show_duration(self.deadline)}",
            "" if self.max_bytes is None else f"at most {show_bytes(self.max_bytes)} sent",
            "" if self.budget is None else f"at most ${self.budget:g}",
            "" if self.energy is None else f"at most {show_energy(self.energy)}",
            "" if self.stay is None else f"inputs that stay {_STAYS[self.stay]}",
            "" if self.accuracy is None else f"an accuracy of {self.accuracy:g}",
        ]
        return ", ".join(part for part in parts if part)


_STAYS: Mapping[Stay, str] = {"device": "on their device", "site": "at their site"}


def _weights(value: Any) -> tuple[tuple[Metric, float], ...]:
    weights = {value: 1.0} if isinstance(value, str) else dict(value)
    if set(weights) - set(METRICS) or not any(weights.values()):
        raise ValueError(value)
    return tuple((metric, _amount(weights[metric])) for metric in METRICS if weights.get(metric))


def _amount(value: Any) -> float:
    number = float(value)
    if not 0 <= number < float("inf") or isinstance(value, str | bool):
        raise ValueError(value)
    return number


def _share(value: Any) -> float:
    if _amount(value) > 1:
        raise ValueError(value)
    return _amount(value)


def _stay(value: Any) -> Stay:
    if value not in get_args(Stay):
        raise ValueError(value)
    return "device" if value == "device" else "site"


def _on_cut(value: Any) -> OnCut:
    chosen: OnCut | None = next((known for known in get_args(OnCut) if known == value), None)
    if chosen is None:
        raise ValueError(value)
    return chosen


def _order(value: Any) -> tuple[str, ...]:
    tiers = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(tier, str) and tier for tier in tiers) or len(set(tiers)) < len(tiers):
        raise ValueError(value)
    return tiers


_READ: Mapping[str, Any] = {
    "minimise": _weights,
    "deadline": lambda value: duration(value) if isinstance(value, str) else _amount(value),
    "max_bytes": lambda value: float(size(value)) if isinstance(value, str) else _amount(value),
    "budget": lambda value: money(value) if isinstance(value, str) else _amount(value),
    "energy": lambda value: energy(value) if isinstance(value, str) else _amount(value),
    "stay": _stay,
    "order": _order,
    "accuracy": _share,
    "lossy": _share,
    "on_cut": _on_cut,
    "margin": _amount,
}
