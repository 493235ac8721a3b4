"""What runs on the node: the user's function or class, made ready for a Ray worker."""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any

from tierflow.runtime.arrow import carry_arrow
from tierflow.sdk.releasing import labelled, releasing
from tierflow.topology import Stay

__all__ = [
    "BODY",
    "OBSERVED",
    "actor_body",
    "drain",
    "is_async",
    "is_stream",
    "name_of",
    "observed_body",
    "task_body",
]

BODY, OBSERVED = "_body", "_observed"
"""The attributes of a task's handle that are its bodies, so that a body pickles by the name ``module.task._body``."""
RAYS_BOUND = "__ray_generator_backpressure_num_objects__"
"""Where Ray keeps, on a method, how many objects may wait to be read. With 1 it asks for the next when one was."""


def is_stream(function: Callable[..., Any]) -> bool:
    """Whether a function yields its results one by one."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def task_body(
    raw: Callable[..., Any], ahead: float | None = None, stay: Stay | None = None, releases: str = ""
) -> Callable[..., Any]:
    """A plain function, or plain generator function, that runs `raw` to its end in a worker.

    Ray's tasks can't be `async def`: the body runs the event loop. It is a function of its own, so that the user's
    keeps its name. Values leave a task by its return, so Arrow is told just before. What it yields is made ahead, up to
    `ahead` bytes, see `runtime.feeding`; None: as Ray asks for it. What it makes may not leave its device or site
    (`stay`), unless it is released.
    """
    named, raw = raw, releasing(raw, releases) if releases else raw
    raw = raw if stay is None else labelled(raw, stay)
    if inspect.isasyncgenfunction(raw):

        def items(*args: Any, **kwargs: Any) -> Any:
            with asyncio.Runner() as runner:
                yield from drain(raw(*args, **kwargs), runner)

        def body(*args: Any, **kwargs: Any) -> Any:
            from tierflow.runtime.feeding import fed

            yield from fed(items(*args, **kwargs), ahead)

    elif inspect.isgeneratorfunction(raw):

        def body(*args: Any, **kwargs: Any) -> Any:
            from tierflow.runtime.feeding import fed

            yield from fed(raw(*args, **kwargs), ahead)

    elif inspect.iscoroutinefunction(raw):

        def body(*args: Any, **kwargs: Any) -> Any:
            result = asyncio.run(raw(*args, **kwargs))
            carry_arrow()
            return result

    else:

        def body(*args: Any, **kwargs: Any) -> Any:
            result = raw(*args, **kwargs)
            carry_arrow()
            return result

    functools.update_wrapper(body, named)
    body.__qualname__ = f"{named.__qualname__}.{name_of(BODY, stay)}"
    return body


def name_of(body: str, stay: Stay | None) -> str:
    """The attribute of a task's handle that is a body of it, for results that may not leave a device or a site."""
    return body if stay is None else f"{body}_{stay}"


def observed_body(body: Callable[..., Any]) -> Callable[..., Any] | None:
    """The body of a task, with what is to be told of the call beside its result; None for a generator's."""
    if inspect.isgeneratorfunction(body):
        return None

    def watched(*args: Any, **kwargs: Any) -> Any:
        from tierflow.runtime.observe import observed

        return observed(watched, lambda: body(*args, **kwargs), (*args, *kwargs.values()))

    functools.update_wrapper(watched, body)
    start, _, name = body.__qualname__.rpartition(".")
    watched.__qualname__ = f"{start}.{name.replace(BODY, OBSERVED, 1)}"
    return watched


def actor_body(
    raw: type,
    title: str,
    resident: Mapping[str, Any] | None = None,
    ahead: float | None = None,
    stay: Stay | None = None,
    releases: Mapping[str, str] | None = None,
) -> type:
    """A subclass of `raw` under the name that dashboards show, whose instances carry Arrow.

    What its generators yield is made ahead, up to `ahead` bytes; None: as Ray asks for it.

    `resident` are Ray's options of an actor that its node is to start also without the head: it is written down there.
    What an instance makes may not leave its device or site (`stay`), unless a method `releases` it, by name.
    """
    made = _carrying(raw, title, _methods(raw, ahead, releases or {}), stay)
    if resident is None:
        return made

    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        from tierflow.runtime.residents import note

        made.__init__(self, *args, **kwargs)  # type: ignore[misc]  # the class is known, not a subclass's
        note(made, resident, args, kwargs)

    functools.update_wrapper(start, made.__init__)  # type: ignore[misc]  # as above
    body = types.new_class(title, (made,), exec_body=lambda members: members.update({"__init__": start}))
    body.__module__, body.__doc__, body.__qualname__ = raw.__module__, raw.__doc__, title
    return body


def is_async(kind: type) -> bool:
    """Whether Ray runs the methods of a class in an event loop: one of them is `async def`."""
    methods = (method for _, method in inspect.getmembers(kind, inspect.isfunction))
    return any(inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method) for method in methods)


def _streams(raw: type, ahead: float | None, freed: Mapping[str, Any]) -> dict[str, Any]:
    """The methods of a class that yield, as ones that make it ahead and end when their reader does not want more.

    Ray sends something into each at every item, which ``yield from`` a plain iterator would not bear.
    """
    found = {}
    for name, method in inspect.getmembers(raw, inspect.isgeneratorfunction):
        if isinstance(inspect.getattr_static(raw, name), types.FunctionType):
            bound = ahead if getattr(method, RAYS_BOUND, None) is None else None
            found[name] = _stream(raw, freed.get(name, method), name, bound)
    return found


def _stream(raw: type, items: Callable[..., Any], name: str, ahead: float | None) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        from tierflow.runtime.feeding import fed

        return (yield from fed(items(self, *args, **kwargs), ahead, name))

    written: Any = functools.update_wrapper(method, getattr(raw, name))
    written.__signature__ = inspect.signature(written)
    del written.__wrapped__  # Ray would look for its bound there
    if ahead is not None:
        setattr(method, RAYS_BOUND, 1)
    return method


def _methods(raw: type, ahead: float | None, releases: Mapping[str, str]) -> dict[str, Any]:
    """The methods of a class that are not as they were written: those that yield, and those that release."""
    freed = {name: releasing(getattr(raw, name), word) for name, word in releases.items()}
    return {**freed, **_streams(raw, ahead, freed)}


def _carrying(raw: type, title: str, methods: Mapping[str, Any], stay: Stay | None) -> type:
    init = raw.__init__  # type: ignore[misc]  # the class is known, its __init__ is looked up on purpose
    if inspect.isfunction(init):

        def start(self: Any, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **kwargs)
            carry_arrow(always=True)

        functools.update_wrapper(start, init)

    else:

        def start(self: Any, *args: Any, **kwargs: Any) -> None:
            raw.__init__(self, *args, **kwargs)  # type: ignore[misc]  # as above
            carry_arrow(always=True)

    namespace = {**methods, "__init__": start, "__module__": raw.__module__, "__doc__": raw.__doc__}
    if stay is not None:
        namespace["__init__"] = labelled(start, stay)
    body = types.new_class(title, (raw,), exec_body=lambda members: members.update(namespace))
    body.__qualname__ = title
    return body


def drain(items: AsyncGenerator[Any, None], runner: asyncio.Runner) -> Generator[Any, None, None]:
    """The items of an asynchronous generator, each awaited in the runner's loop when it is asked for."""

    async def following() -> Any:
        return await anext(items)

    try:
        while True:
            try:
                item = runner.run(following())
            except StopAsyncIteration:
                return
            carry_arrow()
            yield item
    finally:
        runner.run(items.aclose())
