"""What an iterator makes ahead of whoever takes it, in a thread, bounded in bytes. Knows nothing of Ray."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

from tierflow.runtime.weight import weight

__all__ = ["AHEAD", "Ahead"]

AHEAD = 8_000_000
"""Bytes that a reader fetches before they are asked for, where nothing else is said."""

T = TypeVar("T")


class Ahead(Generic[T]):
    """The items of an iterator, made before they are asked for until `limit` bytes of them wait.

    An item waits from when it is made until the next one is asked for: whoever takes it may not have read it before.
    One that is larger than the limit waits alone. One more than waits is made, and held until there is room for it.
    The thread begins when the first item is asked for, runs in the context `within`, and ends with the iterator or with
    `close`. An error of the iterator comes after the items that it made before.
    """

    def __init__(
        self,
        items: Iterator[T],
        limit: float,
        *,
        weigh: Callable[[Any], int] = weight,
        within: contextvars.Context | None = None,
    ) -> None:
        self._items, self._limit, self._weigh = items, limit, weigh
        self._changed = threading.Condition()
        self._made: deque[tuple[T, int]] = deque()
        self._bytes = self._taken = 0
        self._closed = self._ended = False
        self._error: BaseException | None = None
        run = (within or contextvars.copy_context()).run
        self._thread = threading.Thread(target=run, args=(self._make,), name="tierflow-ahead", daemon=True)

    @property
    def waiting(self) -> int:
        """Bytes that wait now: made, and not known to be read."""
        return self._bytes

    def ready(self, timeout: float | None = None) -> bool:
        """Whether the next item, or the end, is there within `timeout` seconds; the last item was read."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._begin()
            self._bytes -= self._taken
            self._taken = 0
            self._changed.notify_all()
            while not self._made and not self._ended:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def __iter__(self) -> Ahead[T]:
        return self

    def __next__(self) -> T:
        self.ready()
        with self._changed:
            if self._made:
                item, self._taken = self._made.popleft()
                return item
        error, self._error = self._error, None
        raise StopIteration if error is None else error

    def close(self) -> None:
        """Let the iterator end, as `close` of a generator does, and wait for that: it first makes the item it is at."""
        with self._changed:
            self._closed = True
            self._made.clear()
            self._changed.notify_all()
        if self._thread.ident is None:
            self._finish()
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def _begin(self) -> None:
        if self._thread.ident is None and not self._closed:
            self._thread.start()

    def _make(self) -> None:
        try:
            while self._put(next(self._items)):
                pass
        except StopIteration:
            pass
        except BaseException as error:  # it is raised where the items are taken
            self._error = error
        self._finish()

    def _put(self, item: T) -> bool:
        """Let an item wait once there is room; whether more are wanted."""
        size = self._weigh(item)
        with self._changed:
            while self._bytes and self._bytes + size > self._limit and not self._closed:
                self._changed.wait()
            if not self._closed:
                self._made.append((item, size))
                self._bytes += size
                self._changed.notify_all()
            return not self._closed

    def _finish(self) -> None:
        """End the iterator, in the thread that it ran in."""
        try:
            close = getattr(self._items, "close", None)
            if close is not None:
                with suppress(Exception):  # nobody takes anything any more
                    close()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
