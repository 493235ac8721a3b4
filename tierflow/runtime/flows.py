"""Ray DAG nodes that start our tasks and actors: what `.bind()` gives.

Ray's own nodes wrap and export the function anew each time the flow is executed; these start the work that is ready.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.dag.class_node import ClassNode
from ray.dag.function_node import FunctionNode

__all__ = ["ActorNode", "TaskNode"]


class TaskNode(FunctionNode):
    """A task in a flow; `start` submits it."""

    def __init__(self, start: Callable[..., Any], body: Any, *bound: Any, **kept: Any) -> None:
        self._start = start
        super().__init__(body, *bound, **kept)  # type: ignore[no-untyped-call]

    def _copy_impl(self, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any], other: Any) -> TaskNode:
        return TaskNode(self._start, self._body, args, kwargs, options, other_args_to_resolve=other)

    def _execute_impl(self, *_: Any, **__: Any) -> Any:
        return self._start(*self._bound_args, **self._bound_kwargs)


class ActorNode(ClassNode):
    """An actor in a flow; `start` creates it."""

    def __init__(self, start: Callable[..., Any], body: Any, *bound: Any, **kept: Any) -> None:
        self._start = start
        super().__init__(body, *bound, **kept)  # type: ignore[no-untyped-call]

    def _copy_impl(self, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any], other: Any) -> ActorNode:
        return ActorNode(self._start, self._body, args, kwargs, options, other_args_to_resolve=other)

    def _execute_impl(self, *_: Any, **__: Any) -> Any:
        return self._start(*self._bound_args, **self._bound_kwargs)
