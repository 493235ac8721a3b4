"""Actors of a fabric in this process."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError

from tierflow.runtime.work import Work
from tierflow.topology import Stay

__all__ = ["ActorState", "LocalHandle", "LocalMethod", "bound"]


@dataclass(eq=False, slots=True)
class ActorState:
    """An actor: its instance, its node, when it is free (virtual seconds), and why it is dead if it is.

    It may not leave what `stay` says, by what it has read.
    """

    work: Work
    node: str
    free: float = 0.0
    instance: Any = None
    death: str = ""
    failure: Exception | None = None
    runner: asyncio.Runner | None = field(default=None)
    stay: Stay | None = None

    @property
    def serial(self) -> bool:
        """Whether it does one call after the other."""
        methods = inspect.getmembers(self.work.raw, inspect.isfunction)
        if any(inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method) for _, method in methods):
            return False
        return int(self.work.options.get("max_concurrency") or 1) == 1

    def loop(self) -> asyncio.Runner:
        """Its event loop, made at its first need."""
        self.runner = self.runner or asyncio.Runner()
        return self.runner

    def died(self) -> Exception:
        """What its callers get, once it is dead."""
        error = ActorDiedError(self.failure)
        if self.failure is None:
            error.error_msg = f"The actor {self.work.request.title} is dead: {self.death}."
        return error

    def close(self) -> None:
        """End its event loop and forget its instance."""
        if self.runner is not None:
            self.runner.close()
        self.runner = self.instance = None


_keys = itertools.count()
_handles: weakref.WeakValueDictionary[int, LocalHandle] = weakref.WeakValueDictionary()
"""Every handle of this process: one that is pickled (a flow does it) comes back as itself."""
_RAY_METHODS = ("__ray_ready__", "__ray_call__", "__call__")


class Caller(Protocol):
    """What a handle needs of its fabric."""

    def call(self, actor: ActorState, method: str, args: Any, kwargs: Any, options: dict[str, Any]) -> Any:
        """Call a method of an actor."""


class LocalHandle(ActorHandle):  # type: ignore[type-arg]
    """A Ray actor handle to an actor in this process."""

    def __init__(self, actor: ActorState, number: int, fabric: Caller) -> None:
        self._ray_weak_ref = True  # Ray must not count it
        self._ray_actor_id = ray.ActorID(number.to_bytes(ray.ActorID.size(), "big"))
        self._state, self._fabric = actor, fabric
        self._key = next(_keys)
        _handles[self._key] = self

    def __getattr__(self, name: str) -> LocalMethod:  # type: ignore[override]  # Ray says Never
        if name in _RAY_METHODS or (not name.startswith("_") and callable(getattr(self._state.work.raw, name, None))):
            return LocalMethod(self, name, {})
        raise AttributeError(f"the actor has no method {name!r}")

    def __dir__(self) -> list[str]:
        return [name for name, _ in inspect.getmembers(self._state.work.raw, callable)]

    def __reduce__(self) -> tuple[Any, ...]:
        return _handle, (self._key,)

    def __repr__(self) -> str:
        return f"Actor({self._state.work.request.title}, {self._ray_actor_id.hex()})"


@dataclass(frozen=True, slots=True)
class LocalMethod:
    """A method of an actor in this process, called with `.remote()`."""

    handle: LocalHandle
    name: str
    given: dict[str, Any]

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; at once a reference to its result."""
        return self.handle._fabric.call(self.handle._state, self.name, args, kwargs, self.given)

    def options(self, **given: Any) -> LocalMethod:
        """The same method with Ray's options of a call; `num_returns` has an effect here."""
        return LocalMethod(self.handle, self.name, {**self.given, **given})

    def __call__(self, *_: Any, **__: Any) -> Any:
        """An actor elsewhere is not called so. Raises `TypeError`, as Ray does."""
        raise TypeError(f"an actor's method is not called directly: write .{self.name}.remote()")


def _handle(key: int) -> LocalHandle:
    return _handles[key]


def bound(actor: ActorState, name: str) -> Callable[..., Any]:
    """The method of the instance, also those that Ray adds to every actor."""
    if name == "__ray_ready__":
        return lambda: True
    if name == "__ray_call__":
        return lambda function, *args, **kwargs: function(actor.instance, *args, **kwargs)
    method: Callable[..., Any] = getattr(actor.instance, name)
    return method
