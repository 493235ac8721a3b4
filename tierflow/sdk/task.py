"""`@tierflow.task`: a function that also runs elsewhere."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from tierflow.errors import OptionError
from tierflow.runtime.work import Work
from tierflow.sdk import fabric
from tierflow.sdk.body import BODY, OBSERVED, is_stream, name_of, observed_body, task_body
from tierflow.sdk.named import Named
from tierflow.sdk.options import Options
from tierflow.sdk.variants import Variants, check_variant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tierflow.runtime.handles import FlowNode, ObjectRef, ObjectRefGenerator
    from tierflow.topology import Metric, OnCut, Stay

__all__ = ["Task", "task"]

MOST = 64
"""Handles with other options that a task keeps."""
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Task(Named, Generic[P, R]):
    """A decorated function: ``f(x)`` runs it here and now, ``f.remote(x)`` on the fabric, ``f.bind(x)`` in a flow.

    Made by `task`. It pickles by module and qualified name, as the function would.
    """

    raw: Callable[P, R]
    """The function as it was written."""
    _variants: Variants

    def __init__(self, raw: Callable[P, R], options: Options, accuracy: float = 1.0) -> None:
        self._fill(raw, options, None, accuracy, Variants(), {})

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

        The same options give the same handle, so that it may be written at each call: what was made ready is kept.

        Raises:
            OptionError: an option that does not exist, or a value it can't have.
        """
        if fixed := options.keys() & {"max_calls", "releases", "ahead"}:
            raise OptionError(self.__qualname__, f"{min(fixed)} is fixed with the task", "give it to the decorator")
        if not all(isinstance(value, (str, int, float, tuple, type(None))) for value in options.values()):
            return self._with(options)
        key = repr(sorted(options.items()))
        if key not in self._others:
            if len(self._others) >= MOST:
                self._others.clear()
            self._others[key] = self._with(options)
        return self._others[key]

    def _with(self, options: dict[str, Any]) -> Task[P, R]:
        made = Task.__new__(type(self))
        later = {**self._later, **options}
        made._fill(self.raw, self._options.with_(options), self._origin or self, self._accuracy, self._variants, later)
        return made

    def variant(self, *, accuracy: float, **options: Any) -> Callable[[Callable[P, R]], Task[P, R]]:
        """Make a function a variant of this task: another way to do the same job, such as a smaller model.

            @detect.variant(accuracy=0.9)
            def detect_small(frame): ...

        A call of the task that says how accurate is enough, ``detect.options(accuracy=0.85).remote(frame)``, may run
        either. Options of `.options()` hold for whatever runs. The variant is an ordinary task too.

        Args:
            accuracy: how well it does the job, as a share; the task itself, 1, is what that is held against.
            **options: the variant's own; see `task`.

        Raises:
            OptionError: an option that does not exist or a value it can't have, or a function that does not take the
                same parameters.
        """
        return functools.partial(self._with_variant, accuracy, options)

    def bind(self, *args: Any, **kwargs: Any) -> FlowNode:
        """Add a call to a flow: a node of a Ray DAG, that other nodes take as argument."""
        return cast("FlowNode", fabric.current().bind(self._work, args, kwargs))

    def __repr__(self) -> str:
        return f"<task {self._options.request().title} of {self.__module__}>"

    def _made(self, stay: Stay | None = None) -> Callable[..., Any]:
        return task_body(self.raw, self._options.ahead, stay, self._options.releases.get("", ""))

    # A body pickles by the name of its attribute: each label has its own.
    _body = functools.cached_property(_made)
    _body_site = functools.cached_property(lambda self: self._made("site"))
    _body_device = functools.cached_property(lambda self: self._made("device"))
    _observed = functools.cached_property(lambda self: observed_body(self._body))
    _observed_site = functools.cached_property(lambda self: observed_body(self._body_site))
    _observed_device = functools.cached_property(lambda self: observed_body(self._body_device))

    @functools.cached_property
    def _work(self) -> Work:
        options = self._options
        given, rivals = options.for_ray(), self._variants.works(self._later, options.policy.stay)
        if options.ahead is not None and given.get("num_returns") in (None, "streaming"):
            given["_generator_backpressure_num_objects"] = 1  # Ray asks for an item when the one before was read
        first, stay = self._origin or self, options.policy.stay
        body = getattr(first, name_of(BODY, stay))
        observed = getattr(first, name_of(OBSERVED, stay)) if given.get("num_returns") in (None, 1) else None
        return Work(
            body, self.raw, options.request(), given, options.policy, self._accuracy, rivals, observed,
            releases=tuple(options.releases),
        )  # fmt: skip

    def _with_variant(self, accuracy: float, options: dict[str, Any], function: Callable[P, R]) -> Task[P, R]:
        task = _task(options, function)
        check_variant(function, accuracy, self.raw)
        task._accuracy = accuracy
        self._variants.add(task)
        return task

    def _content(self) -> tuple[Any, ...]:
        if self._origin is None:
            return self.raw, self._options, None, self._accuracy, self._variants, {}
        return None, self._options, self._origin, self._accuracy, None, self._later

    def _fill(
        self,
        raw: Callable[P, R] | None,
        options: Options,
        origin: Task[P, R] | None,
        accuracy: float,
        variants: Variants | None,
        later: Mapping[str, Any],
    ) -> None:
        # A handle that `.options()` made is the origin's function and shares its variants.
        if origin is not None:
            raw, variants = origin.raw, origin._variants
        assert raw is not None
        assert variants is not None
        self.raw, self._options, self._origin = raw, options, origin
        self._accuracy, self._variants, self._later = accuracy, variants, later
        self._others: dict[str, Task[P, R]] = {}
        functools.update_wrapper(self, raw)


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    tier: str | tuple[str, ...] | list[str] | None = None,
    site: str | None = None,
    node: str | None = None,
    minimise: Metric | Mapping[Metric, float] | None = None,
    deadline: str | float | None = None,
    max_bytes: str | float | None = None,
    budget: str | float | None = None,
    energy: str | float | None = None,
    stay: Stay | None = None,
    order: str | tuple[str, ...] | list[str] | None = None,
    accuracy: float | None = None,
    lossy: float | None = None,
    margin: float | None = None,
    on_cut: OnCut | None = None,
    releases: str | None = None,
    ahead: str | float | None = None,
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
            them any node will do. The policy says what the fabric chooses by: `minimise` (latency, energy, money or
            bytes, or a weight for each), `order` (tiers, the best first), and what one call must keep: `deadline`
            ("50 ms"), `max_bytes` ("1 MB"), `budget` (dollars), `energy` ("2 J"), `stay` ("device" or "site": what
            its inputs and results may not leave), `accuracy` (the least share that a variant may have; without it only
            the function itself runs), `margin` (standard deviations to stay clear of those bounds). `lossy` (.01, say)
            allows the numbers in its arguments and result to be off by this share of the largest magnitude in their
            tensor or array, where that makes fewer bytes cross a slow link. `on_cut` says what
            becomes of a call where all nodes that it may run on are cut off: "fail" (`Cut`, at once: the default),
            "queue" (the call waits for one of them, `deadline` at the most), "local" (it runs on any node in reach).
            `releases` ("aggregate", say: a word for the audit log) lets results leave although what it reads may not;
            without it they inherit the strictest label of that.
            `ahead` ("8 MB") bounds in bytes what a generator yields before it is read: beyond that it waits. One item
            that is larger waits alone. The generator then runs in a thread of its own, and is to fetch what it needs by
            `tierflow.get`, which lends its CPU to what it waits for. Without `ahead` it makes all that it can at once.
            What is not said here or with `.options()` is as `init` and the cluster file say; but a `stay` of theirs
            only keeps inputs where they are: it labels no result. `name` is shown in the
            dashboard after the tier. All others are Ray's, by Ray's names and with Ray's meaning: `num_cpus` (1),
            `num_gpus`, `memory` (bytes), `resources`, `max_retries`, `num_returns`, `runtime_env`...

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
    if options.get("ahead") is not None and not is_stream(function):
        raise OptionError(function.__name__, "it has ahead, and is no generator", "leave ahead out, or let it yield")
    return Task(cast("Callable[P, R]", function), Options("task", function.__name__).with_(options))
