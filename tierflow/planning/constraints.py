"""What rules nodes out for a call under a policy, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierflow.cost.call import Call, Variant
from tierflow.cost.estimate import Estimates
from tierflow.cost.prediction import Prediction
from tierflow.planning.policy import Policy
from tierflow.topology.conditions import Conditions
from tierflow.units import show_bytes, show_duration, show_energy

__all__ = ["Rule", "rules", "too_late"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Rule:
    """The nodes that one constraint rules out, and how to say it of the node at an index."""

    out: Mask
    words: Callable[[int], str]


def rules(
    call: Call,
    policy: Policy,
    variant: Variant,
    predicted: Prediction,
    conditions: Conditions,
    refused: Mapping[str, str],
) -> tuple[Rule, ...]:
    """Every constraint that rules out a node for this variant; waiting for cores is not looked at.

    `refused` names the nodes that are out from the start, with the reason.
    """
    nodes = conditions.topology.nodes
    out = np.zeros(len(nodes), np.bool_)
    out[[conditions.fixed.nodes[name] for name in refused if name in conditions.fixed.nodes]] = True
    found = (
        Rule(out, lambda at: refused[nodes[at].name]),
        Rule(~conditions.alive & ~out, lambda at: "it cannot be reached"),
        Rule(~predicted.open & ~out, lambda at: "a link on the way to it is cut"),
        *_of_node(call, policy, conditions, out),
        *_of_variant(call, policy, variant, len(nodes)),
        *_of_limits(policy, predicted),
    )
    return tuple(rule for rule in found if rule.out.any())


def too_late(seconds: float, deadline: float, waited: float = 0.0) -> str:
    """That a call would end after its deadline, in words."""
    queued = f" ({_short(show_duration, waited)} of it in a queue)" if waited else ""
    return f"would take {_short(show_duration, seconds)}{queued}, not {show_duration(deadline)}"


def _of_node(call: Call, policy: Policy, conditions: Conditions, out: Mask) -> Iterator[Rule]:
    fixed = conditions.fixed
    yield Rule((fixed.cpus < call.cpus) & ~out, lambda at: f"has {fixed.cpus[at]:g} CPU, not {call.cpus:g}")
    for item in call.inputs:
        stays = {item.stay, policy.stay} - {None}
        home = fixed.nodes.get(item.at)
        if "device" in stays:
            elsewhere = np.arange(len(out)) != (-1 if home is None else home)
            yield Rule(elsewhere, lambda at, item=item: f"an input may not leave {item.at}")  # type: ignore[misc]
        elif "site" in stays:
            site = conditions.topology.sites[fixed.site[home]] if home is not None else item.at
            elsewhere = fixed.site != conditions.topology.sites.index(site)
            yield Rule(elsewhere, lambda at, site=site: f"an input may not leave {site}")  # type: ignore[misc]
    if policy.energy is not None or policy.weight("energy"):
        yield Rule(np.isnan(fixed.power), lambda at: "its power is not declared")


def _of_variant(call: Call, policy: Policy, variant: Variant, count: int) -> Iterator[Rule]:
    if policy.accuracy is None:
        other = variant != call.variants[0]
        yield Rule(np.full(count, other), lambda at: f"{variant.function} is not what was called")
    elif variant.accuracy < policy.accuracy:
        words = f"{variant.function} has an accuracy of {variant.accuracy:g}, not {policy.accuracy:g}"
        yield Rule(np.full(count, True), lambda at: words)


def _of_limits(policy: Policy, predicted: Prediction) -> Iterator[Rule]:
    if (deadline := policy.deadline) is not None:
        time = _safely(predicted.time, policy.margin)
        yield Rule(time > deadline, lambda at: too_late(float(time[at]), deadline))
    if (most := policy.max_bytes) is not None:
        size = predicted.size.value
        yield Rule(size > most, lambda at: f"would send {_short(show_bytes, size[at])}, not {show_bytes(most)}")
    if (budget := policy.budget) is not None:
        money = _safely(predicted.money, policy.margin)
        yield Rule(money > budget, lambda at: f"would cost ${money[at]:.3g}, not ${budget:g}")
    if (limit := policy.energy) is not None:
        joules = _safely(predicted.energy, policy.margin)
        yield Rule(joules > limit, lambda at: f"would draw {_short(show_energy, joules[at])}, not {show_energy(limit)}")


def _safely(estimates: Estimates, margin: float) -> NDArray[np.float64]:
    """The value and `margin` standard deviations more."""
    bound: NDArray[np.float64] = estimates.value + margin * np.sqrt(estimates.variance)
    return bound


def _short(show: Callable[[float], str], value: float) -> str:
    """A quantity to three digits."""
    return show(float(f"{value:.3g}"))
