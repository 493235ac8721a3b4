"""What a call asks of the node that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tierflow.topology import NODE, SITE, TIER
from tierflow.units import show_size

__all__ = ["CHOSEN", "Request"]

CHOSEN = ">"
"""What stands in a title between what was asked and what was chosen."""

Selector = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What a call of `name` asks of a node: the tiers in order of preference, a site, a node, resources, labels.

    `resources` are named and counted as Ray does (CPU and GPU in units, memory in bytes). `labels` is a further
    label selector in Ray's expressions (``"a100"``, ``"!spot"``, ``"in(a, b)"``, ``"!in(a, b)"``), and `fallbacks`
    are the user's own selectors to try, in order, after it.
    """

    name: str
    tiers: tuple[str, ...] = ()
    site: str | None = None
    node: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Selector = field(default_factory=dict)
    fallbacks: tuple[Selector, ...] = ()

    @property
    def title(self) -> str:
        """The name that dashboards show: ``edge@plant-1/detect``, ``edge|cloud/detect``, ``any/detect``."""
        place = "|".join(self.tiers) or "any"
        at = self.node or self.site
        return f"{place}@{at}/{self.name}" if at else f"{place}/{self.name}"

    def title_on(self, tier: str, site: str) -> str:
        """The name of a call that was placed: what was asked, then where that led: ``any>cloud@region-1/detect``."""
        place, slash, name = self.title.partition("/")
        return f"{place}{CHOSEN}{tier}@{site}{slash}{name}"

    @property
    def asked(self) -> str:
        """What is asked, in words: ``tier edge or cloud at site plant-1, 2 CPU``."""
        place = f"tier {' or '.join(self.tiers)}" if self.tiers else ""
        if self.site is not None:
            place += f" at site {self.site}" if place else f"site {self.site}"
        if self.node is not None:
            place += f" on node {self.node}" if place else f"node {self.node}"
        needs = [amount(name, value) for name, value in sorted(self.resources.items()) if value]
        wants = [f"label {key}={value}" for key, value in sorted(self.labels.items())]
        return ", ".join([part for part in (place.strip(), *needs, *wants) if part]) or "any node"

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """The label selectors that carry the request, in order of preference; none where every node will do."""
        place = dict(self.labels)
        if self.site is not None:
            place[SITE] = self.site
        if self.node is not None:
            place[NODE] = self.node
        if self.tiers:
            return tuple({TIER: tier, **place} for tier in self.tiers)
        return tuple(selector for selector in (place, *self.fallbacks) if selector)


def amount(name: str, value: float) -> str:
    """How much of a resource, in words: ``2 CPU``, ``2 GiB of memory``."""
    if name in ("memory", "object_store_memory"):
        return f"{show_size(value)} of {name}"
    return f"{value:g} {name}"
