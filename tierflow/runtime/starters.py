"""How Ray starts a work: its remote function or actor class, on a node of Ray's choice or on one that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ray

from tierflow.runtime.asking import can_choose
from tierflow.runtime.work import Ready, Work
from tierflow.topology import NODE

__all__ = ["Starters", "made_ready", "options_of"]

MOST = 1024
"""Ways that are kept."""
Start = Callable[..., Any]


class Starters:
    """The ways to start one work; each is made once, because making one exports the function or takes microseconds."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._made: dict[tuple[str, tuple[str, ...]], Start] = {}
        self._bases: dict[bool, Any] = {}

    def anywhere(self) -> Start:
        """Start it on any node that its request admits, as Ray chooses; its result is not observed."""
        options = dict(_placed(self._work))
        made = self._base(observed=False)
        start: Start = made.options(**options).remote if options else made.remote
        return start

    def on(self, node: str, others: tuple[str, ...], tier: str, site: str) -> Start:
        """Start it on a node or, where that has no free core, on one of the others, in their order.

        What can be observed gives a second reference, to what is told of the call.
        """
        key = (node, others)
        if key not in self._made:
            if len(self._made) >= MOST:
                self._made.clear()
            labels = dict(self._work.request.labels)
            options: dict[str, Any] = {"label_selector": {**labels, NODE: node}}
            if others:
                options["fallback_strategy"] = [{"label_selector": {**labels, NODE: other}} for other in others]
            if not isinstance(self._work.body, type):
                options["name"] = self._work.request.title_on(tier, site)
            self._made[key] = self._base(observed=self._work.observed is not None).options(**options).remote
        return self._made[key]

    def _base(self, *, observed: bool) -> Any:
        """Ray's remote function or actor class; `ray.remote` also checks the options' values."""
        if observed not in self._bases:
            options = options_of(self._work)
            body = self._work.body
            if observed:
                options, body = {**options, "num_returns": 2}, self._work.observed
            self._bases[observed] = ray.remote(**options)(body)
        return self._bases[observed]


def made_ready(work: Work) -> Ready:
    """The note on a work of how it is started; made at its first call."""
    if work.ready is None:
        ways = Starters(work)
        work.ready = Ready(ways.anywhere(), ways, chosen=can_choose(work))
    return work.ready


def options_of(work: Work) -> dict[str, Any]:
    """The work's own options as Ray takes them, and the name that dashboards show."""
    options = dict(work.options)
    if not isinstance(work.body, type):
        options["name"] = work.request.title
    # Ray takes no empty call of `ray.remote()`, and this is its default.
    options.setdefault("enable_task_events", True)
    return options


def _placed(work: Work) -> Mapping[str, Any]:
    """The labels that the request asks for, in order of preference."""
    selectors = work.request.selectors
    options: dict[str, Any] = {}
    if selectors:
        options["label_selector"] = dict(selectors[0])
    if len(selectors) > 1:
        options["fallback_strategy"] = [{"label_selector": dict(selector)} for selector in selectors[1:]]
    return options
