"""Functions whose results have a label, or lose it: wrapped, and still the generators or coroutines that they were."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tierflow.runtime import taint
from tierflow.topology import Stay

__all__ = ["labelled", "leaving", "releasing"]


def labelled(function: Callable[..., Any], stay: Stay) -> Callable[..., Any]:
    """The function, which is no coroutine; what it makes may not leave its device or site."""

    def before() -> None:
        from tierflow.runtime.guard import enter

        enter(stay)

    wrapper: Callable[..., Any]
    if inspect.isgeneratorfunction(function):

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            before()
            return (yield from function(*args, **kwargs))

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            before()
            return function(*args, **kwargs)

    return functools.update_wrapper(wrapper, function)


def releasing(function: Callable[..., Any], word: str, method: str = "") -> Callable[..., Any]:
    """The function; what it gives to whoever called it by Ray has no label, and is written down under a word.

    `method` is the actor's method that Ray has to have called: to the actor itself it is a method like any other.
    """
    yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    wrapped = (_items if yields else _result)(function, word, method)
    return functools.update_wrapper(wrapped, function)


def leaving(where: str) -> None:
    """Something is about to leave by another way than Ray's. See `runtime.guard.leaving`, which loads pyarrow."""
    if taint.now() is not None:
        from tierflow.runtime import guard

        guard.leaving(where)


def _items(function: Callable[..., Any], word: str, method: str) -> Callable[..., Any]:
    wrapper: Callable[..., Any]
    if inspect.isasyncgenfunction(function):

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            outermost, items = _is_outermost(method), function(*args, **kwargs)
            try:
                while True:
                    with taint.releasing(word):
                        item = await anext(items)
                    yield _released(item, word) if outermost else item
            except StopAsyncIteration:
                return
            finally:
                await items.aclose()

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not _is_outermost(method):
                return (yield from function(*args, **kwargs))
            items = function(*args, **kwargs)
            try:
                while True:
                    try:
                        with taint.releasing(word):
                            item = next(items)
                    except StopIteration as end:
                        return end.value
                    yield _released(item, word)
            finally:
                items.close()

    return wrapper


def _result(function: Callable[..., Any], word: str, method: str) -> Callable[..., Any]:
    wrapper: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            outermost = _is_outermost(method)
            with taint.releasing(word):
                result = await function(*args, **kwargs)
            return _released(result, word) if outermost else result

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            outermost = _is_outermost(method)
            with taint.releasing(word):
                result = function(*args, **kwargs)
            return _released(result, word) if outermost else result

    return wrapper


def _is_outermost(method: str) -> bool:
    """Whether it is Ray that called, and not what is released itself, or another method of the same actor."""
    if taint.word.get():
        return False
    if not method:
        return True
    from tierflow.runtime.feeding import called_by_ray

    return called_by_ray(method)


def _released(item: Any, word: str) -> Any:
    if taint.now() is None:
        return item
    from tierflow.runtime.guard import release

    return release(item, word)
