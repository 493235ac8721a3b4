"""Ray's own functions, led into a fabric in this process for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray._private import auto_init_hook

from tierflow.testing.frames import frame
from tierflow.testing.local import LocalFabric
from tierflow.topology import NODE, SITE, TIER

__all__ = ["redirected"]


@dataclass(frozen=True, slots=True)
class RuntimeContext:
    """What `ray.get_runtime_context()` gives inside: who and where the caller is."""

    fabric: LocalFabric

    def get_node_id(self) -> str:
        """The name of the node."""
        here = frame.get(self.fabric._driver)
        return here.node

    def get_node_labels(self) -> dict[str, str]:
        """The labels of the node."""
        node = self.fabric.topology.node(self.get_node_id())
        return {TIER: node.tier, SITE: node.site, NODE: node.name}


@contextmanager
def redirected(fabric: LocalFabric) -> Iterator[None]:
    """Let `ray.get`, `wait`, `put`, `kill`, `get_actor`, `is_initialized` and `get_runtime_context` mean this fabric.

    Ray does not start a cluster by itself meanwhile: a plain `ray.remote` function fails in place of doing so.
    """

    def wait(refs: list[Any], *, num_returns: int = 1, timeout: float | None = None, fetch_local: bool = True) -> Any:
        return fabric.wait(refs, num_returns=num_returns, timeout=timeout)

    replaced = {
        "get": lambda refs, *, timeout=None, **_: fabric.get(refs, timeout=timeout),
        "wait": wait,
        "put": lambda value, **_: fabric.put(value),
        "kill": lambda actor, *, no_restart=True: fabric.kill(actor),
        "get_actor": lambda name, namespace=None: fabric.named(name),
        "is_initialized": lambda: True,
        "get_runtime_context": lambda: RuntimeContext(fabric),
    }
    before = {name: getattr(ray, name) for name in replaced}
    connects, auto_init_hook.enable_auto_connect = auto_init_hook.enable_auto_connect, False
    for name, function in replaced.items():
        setattr(ray, name, function)
    try:
        yield
    finally:
        auto_init_hook.enable_auto_connect = connects
        for name, function in before.items():
            setattr(ray, name, function)
