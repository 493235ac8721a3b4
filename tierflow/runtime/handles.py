"""Ray's references and handles by their types, for the rooms above that do not import Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ray import ObjectRef
from ray.actor import ActorHandle
from ray.dag import DAGNode as FlowNode

__all__ = ["ActorHandle", "FlowNode", "Handle", "ObjectRef", "ObjectRefGenerator"]

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    class ObjectRefGenerator(Generic[T]):
        """Ray's generator of references, with the type of what they refer to."""

        def __iter__(self) -> Iterator[ObjectRef[T]]: ...
        def __next__(self) -> ObjectRef[T]: ...
        def __aiter__(self) -> AsyncIterator[ObjectRef[T]]: ...
        async def __anext__(self) -> ObjectRef[T]: ...

    class Method:
        """A method of an actor elsewhere."""

        def remote(self, *args: Any, **kwargs: Any) -> Any: ...
        def bind(self, *args: Any, **kwargs: Any) -> FlowNode: ...
        def options(self, **options: Any) -> Method: ...

    class Handle(ActorHandle[T]):
        """Ray's actor handle, whose attributes are methods to call with `.remote()`."""

        def __getattr__(self, name: str) -> Method: ...  # type: ignore[override]  # Ray says Never

else:
    from ray import ObjectRefGenerator

    Handle = ActorHandle
