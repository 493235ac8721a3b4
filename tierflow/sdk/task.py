"""`@tierflow.task`: a function that also runs elsewhere."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from tierflow.errors import OptionError
from tierflow.runtime.work import Work
from tierflow.sdk import fabric
from tierflow.sdk.body import BODY, OBSERVED, observed_body, task_body
from tierflow.sdk.named import Named
from tierflow.sdk.options import Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tierflow.runtime.handles import FlowNode, ObjectRef, ObjectRefGenerator

__all__ = ["Task", "task"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Task(Named, Generic[P, R]):
    """A decorated function: ``f(x)`` runs it here and now, ``f.remote(x)`` on the fabric, ``f.bind(x)`` in a flow.

    Made by `task`. It pickles by module and qualified name, as the function would.
    """

    raw: Callable[P, R]
    """The function as it was written."""

    def __init__(self, raw: Callable[P, R], options: Options, origin: Task[P, R] | None = None) -> None:
        self._fill(raw, options, origin)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now: no fabric, no copy of the arguments."""
        return self.raw(*args, **kwargs)

    if TYPE_CHECKING:
        # What comes back depends on what was decorated: the first overload that fits is meant, so they overlap.
        # References stand for values in the first places.
        @overload
        def remote(self: Task[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> ObjectRef[T]: ...
        @overload
        def remote(self: Task[P, Iterator[T]], *args: P.args, **kwargs: P.kwargs) -> ObjectRefGenerator[T]: ...  # type: ignore[overload-overlap]
        @overload
        def remote(self: Task[P, AsyncIterator[T]], *args: P.args, **kwargs: P.kwargs) -> ObjectRefGenerator[T]: ...  # type: ignore[overload-overlap]
        @overload
        def remote(self, *args: P.args, **kwargs: P.kwargs) -> ObjectRef[R]: ...  # type: ignore[overload-overlap]
        @overload
        def remote(
            self: Task[..., Coroutine[Any, Any, T]], a: ObjectRef[Any], /, *args: Any, **kwargs: Any
        ) -> ObjectRef[T]: ...
        @overload
        def remote(
            self: Task[..., Coroutine[Any, Any, T]], a: Any, b: ObjectRef[Any], /, *args: Any, **kwargs: Any
        ) -> ObjectRef[T]: ...
        @overload
        def remote(
            self: Task[..., Iterator[T]], a: ObjectRef[Any], /, *args: Any, **kwargs: Any
        ) -> ObjectRefGenerator[T]: ...
        @overload
        def remote(
            self: Task[..., Iterator[T]], a: Any, b: ObjectRef[Any], /, *args: Any, **kwargs: Any
        ) -> ObjectRefGenerator[T]: ...
        @overload
        def remote(self, a: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[R]: ...
        @overload
        def remote(self, a: Any, b: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[R]: ...
        @overload
        def remote(self, a: Any, b: Any, c: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[R]: ...
        @overload
        def remote(self, a: Any, b: Any, c: Any, d: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[R]: ...
        def remote(self, *args: Any, **kwargs: Any) -> Any:
            """Run the function on a node of the fabric that fits; at once a reference to its result."""
    else:

        def remote(self, *args: Any, **kwargs: Any) -> Any:
            """Run the function on a node of the fabric that fits; at once a reference to its result.

            A generator's results come one by one: what comes back is Ray's generator of references.

            Raises:
                NoPlacement: no node can run it; each is listed with what ruled it out.
                FabricError: there is no fabric to run it on.
            """
            return fabric.current().start(self._work, args, kwargs)

    def options(self, **options: Any) -> Task[P, R]:
        """The same task with other options for the calls made through it; see `task`.

        Raises:
            OptionError: an option that does not exist, or a value it can't have.
        """
        if "max_calls" in options:
            raise OptionError(self.__qualname__, "max_calls is fixed with the task", "give it to the decorator")
        return Task(self.raw, self._options.with_(options), self._origin or self)

    def bind(self, *args: Any, **kwargs: Any) -> FlowNode:
        """Add a call to a flow: a node of a Ray DAG, that other nodes take as argument."""
        return cast("FlowNode", fabric.current().bind(self._work, args, kwargs))

    def __repr__(self) -> str:
        return f"<task {self._options.request().title} of {self.__module__}>"

    @functools.cached_property
    def _body(self) -> Callable[..., Any]:
        return task_body(self.raw) if self._origin is None else cast("Callable[..., Any]", getattr(self._origin, BODY))

    @functools.cached_property
    def _observed(self) -> Callable[..., Any] | None:
        if self._origin is not None:
            return cast("Callable[..., Any] | None", getattr(self._origin, OBSERVED))
        return observed_body(self._body)

    @functools.cached_property
    def _work(self) -> Work:
        options = self._options.for_ray()
        observed = self._observed if options.get("num_returns") in (None, 1) else None
        return Work(self._body, self.raw, self._options.request(), options, observed)

    def _content(self) -> tuple[Any, ...]:
        return (self.raw if self._origin is None else None), self._options, self._origin

    def _fill(self, raw: Callable[P, R] | None, options: Options, origin: Task[P, R] | None) -> None:
        if raw is None and origin is not None:
            raw = origin.raw
        assert raw is not None
        self.raw, self._options, self._origin = raw, options, origin
        functools.update_wrapper(self, raw)


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    tier: str | tuple[str, ...] | list[str] | None = None,
    site: str | None = None,
    node: str | None = None,
    name: str | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    memory: float | None = None,
    resources: dict[str, float] | None = None,
    **options: Any,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a task: callable as before, and on the fabric with ``.remote()``.

    Args:
        function: a function, `async def`, generator or asynchronous generator.
        options: `tier` (one, or several in order of preference), `site` and `node` say where it may run; without
            them any node will do. `name` is shown in the dashboard after the tier. All others are Ray's, by Ray's
            names and with Ray's meaning: `num_cpus` (1), `num_gpus`, `memory` (bytes), `resources`, `max_retries`,
            `num_returns`, `runtime_env`...

    Raises:
        OptionError: an option that does not exist, or a value it can't have.
    """
    if function is None:
        return functools.partial(_task, options)
    return _task(options, function)


def _task(options: dict[str, Any], function: Callable[P, R]) -> Task[P, R]:
    if not inspect.isfunction(function):
        other = "use tierflow.actor for a class" if isinstance(function, type) else "decorate a function made with def"
        raise OptionError(getattr(function, "__name__", repr(function)), "a task is a function", other)
    return Task(cast("Callable[P, R]", function), Options("task", function.__name__).with_(options))
