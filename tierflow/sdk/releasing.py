"""Functions whose results have a label, or lose it: wrapped, and still the generators or coroutines that they were."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import aclosing, closing
from typing import Any

from tierflow.runtime import taint
from tierflow.topology import Stay

__all__ = ["labelled", "releasing"]


def labelled(function: Callable[..., Any], stay: Stay) -> Callable[..., Any]:
    """The function; what it makes may not leave its device or site."""

    def before() -> None:
        from tierflow.runtime.guard import enter

        enter(stay)

    return _wrapped(function, before, lambda item: item, "")


def releasing(function: Callable[..., Any], word: str) -> Callable[..., Any]:
    """The function; its results have no label, and each is written down under a word."""
    return _wrapped(function, lambda: None, functools.partial(_released, word=word), word)


def _released(item: Any, *, word: str) -> Any:
    if taint.now() is None:
        return item
    from tierflow.runtime.guard import release

    return release(item, word)


def _wrapped(
    function: Callable[..., Any], before: Callable[[], None], each: Callable[[Any], Any], word: str
) -> Callable[..., Any]:
    """A function of the same kind, which does something before, and something to each result."""
    wrapper: Callable[..., Any]
    if inspect.isasyncgenfunction(function):

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            before()
            async with aclosing(function(*args, **kwargs)) as items:
                async for item in items:
                    yield each(item)

    elif inspect.isgeneratorfunction(function):

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            before()
            with closing(function(*args, **kwargs)) as items:
                for item in items:
                    yield each(item)

    elif inspect.iscoroutinefunction(function):

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            before()
            with taint.releasing(word or taint.word.get()):
                return each(await function(*args, **kwargs))

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            before()
            with taint.releasing(word or taint.word.get()):
                return each(function(*args, **kwargs))

    return functools.update_wrapper(wrapper, function)
