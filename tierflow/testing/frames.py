"""Who runs, where and when, in a fabric in this process."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tierflow.testing.clock import MockClock

__all__ = ["Call", "Frame", "frame", "inside"]


@dataclass(frozen=True, slots=True)
class Frame:
    """Who is running: on which node, and what time it is there."""

    node: str
    clock: MockClock


frame: contextvars.ContextVar[Frame] = contextvars.ContextVar("tierflow.testing.frame")


def inside(there: Frame, run: Callable[[], Any]) -> Any:
    """Run in the frame; in a thread of its own where this one has a running event loop, which does not nest."""

    def framed() -> Any:
        token = frame.set(there)
        try:
            return run()
        finally:
            frame.reset(token)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return framed()
    outcome: list[tuple[Any, BaseException | None]] = []

    def apart() -> None:
        try:
            outcome.append((framed(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=apart)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its names, its node, what runs, and what says when it begins and takes note of when it ends."""

    title: str
    name: str
    node: str
    function: Callable[..., Any]
    begin: Callable[[float], float]
    end: Callable[[float], None]
    streams: bool = False
