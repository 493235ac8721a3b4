"""A worker makes the items of a generator ahead of Ray, which takes one when its reader has taken the one before."""

from __future__ import annotations

import contextvars
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, cast

import ray
from ray import _raylet

from tierflow.runtime.ahead import Ahead
from tierflow.runtime.arrow import carry_arrow
from tierflow.runtime.taint import in_worker

__all__ = ["awaiting", "called_by_ray", "called_for", "fed", "lend"]

LOOK = 0.05
"""Seconds between two looks at whether the reader has closed the stream, and at what its generator waits for."""


class _Making:
    """What a generator does in its own thread, as far as the worker's first thread has to know."""

    def __init__(self) -> None:
        self.awaits: list[Any] = []


_making: contextvars.ContextVar[_Making | None] = contextvars.ContextVar("making", default=None)
"""Set in a generator's own thread: generators that it calls are plain ones."""

_for: contextvars.ContextVar[str] = contextvars.ContextVar("for", default="")
"""The actor's method that its stand-in was called for."""


@contextmanager
def called_for(method: str) -> Iterator[None]:
    """In this block, which is a call by Ray, a stand-in calls this method in place of the actor that Ray would call."""
    token = _for.set(method)
    try:
        yield
    finally:
        _for.reset(token)


@contextmanager
def awaiting(refs: Sequence[Any]) -> Iterator[None]:
    """Where a generator waits for references, the worker's first thread waits for them too.

    Only then Ray lends the CPU of a task that waits to others, perhaps to the very ones that it waits for.
    """
    making = _making.get()
    if making is None:
        yield
        return
    before, making.awaits = making.awaits, list({ref for ref in refs if isinstance(ref, ray.ObjectRef)})
    try:
        yield
    finally:
        making.awaits = before


def lend(refs: Sequence[Any], seconds: float) -> None:
    """Wait so long for references, in a worker: its CPU is lent meanwhile. Elsewhere there is none to lend."""
    if in_worker():
        with awaiting(refs):
            ray.wait(list(refs), timeout=seconds, fetch_local=False)


def fed(items: Generator[Any, Any, Any], limit: float | None, method: str = "") -> Generator[Any, Any, Any]:
    """The items, of which up to `limit` bytes are made ahead; None, and what is no call by Ray: as they are asked for.

    `method` is the actor's method that Ray has to have called. The actor may call it, too: then it is what it was.
    """
    called = called_by_ray(method)
    if method and not called:
        return (yield from items)
    if limit is None or not called:
        with closing(items):
            while not (called and _is_closed()):
                try:
                    item = next(items)
                except StopIteration:
                    break
                carry_arrow()
                yield item
        return None
    making = _Making()
    ahead = Ahead(items, limit, within=_context(making))
    try:
        while True:
            while not ahead.ready(LOOK):  # an interrupt of Ray's does not end a longer wait
                if refs := making.awaits:
                    ray.wait(refs, num_returns=len(refs), timeout=LOOK, fetch_local=False)
                if _is_closed():
                    return None
            if _is_closed():
                return None
            try:
                item = next(ahead)
            except StopIteration:
                return None
            carry_arrow()
            yield item
    finally:
        ahead.close()


def called_by_ray(method: str) -> bool:
    """Whether it is Ray that runs this call, of an actor's `method` if it is named, and not code that it runs."""
    if not in_worker() or _making.get() is not None:
        return False
    return not method or (_for.get() or _core().get_current_task_function_name().rpartition(".")[2]) == method


def _context(making: _Making) -> contextvars.Context:
    """This call's context, for another thread: Ray keeps whose call it is by thread, or else in these variables."""
    core, raylet, context = _core(), cast("Any", _raylet), contextvars.copy_context()
    context.run(_making.set, making)
    context.run(raylet.async_task_id.set, core.get_current_task_id())
    context.run(raylet.async_task_name.set, core.get_current_task_name())
    context.run(raylet.async_task_function_name.set, core.get_current_task_function_name())
    return context


def _is_closed() -> bool:
    """Whether the reader has cancelled this call. A task is interrupted besides, an actor's method is not."""
    with suppress(RuntimeError):
        return bool(_core().is_canceled())
    return False


def _core() -> Any:
    worker: Any = ray._private.worker.global_worker
    return worker.core_worker
