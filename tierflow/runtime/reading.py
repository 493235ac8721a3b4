"""The values of a stream, fetched ahead of whoever reads them: the next is on its way while one is worked on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import ray

from tierflow.runtime.feeding import lend
from tierflow.runtime.weight import weight

__all__ = ["Reader"]

LOOK = 0.1
"""Seconds between two looks at who is cut off, and at whether anybody reads any more."""
AT_ONCE = 2
"""Values that are on their way at once: the second asks for its bytes while those of the first come in."""


class Reader:
    """Reads a generator of references of Ray's: takes a reference, and fetches its value, while less than `limit` wait.

    Bytes wait from when their reference is taken, and so the producer may hand over the next, until they are read. A
    value larger than the limit is fetched when none waits. `check` raises what is to be raised where a reader waits,
    given Ray's id of the node that the last large value came from ("" where there was none).
    """

    def __init__(self, items: Any, limit: float, check: Callable[[str], None]) -> None:
        self._items, self._limit, self._check = items, limit, check
        self._changed = threading.Condition()
        self._values: dict[int, tuple[Any, BaseException | None]] = {}
        self._sizes: dict[int, int] = {}
        self._coming: set[int] = set()
        self._asked = self._read = 0
        self._ended = self._closed = False
        self._node = ""
        threading.Thread(target=self._fetch, name="tierflow-stream", daemon=True).start()

    def next(self, timeout: float | None) -> Any:
        """The next value.

        Raises:
            StopIteration: there is none.
            StayRefused: it may not leave its device or site, and this process is outside.
            Cut: it would come from a node that is cut off. It comes after the heal, if it is asked for again.
            ray.exceptions.GetTimeoutError: `timeout` seconds went by; it may be asked for again.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK if until is None else min(LOOK, until - time.monotonic())
            with self._changed:
                if not self._is_there():
                    self._changed.wait(max(left, 0.0))
                if self._is_there():
                    return self._take()
            self._check(self._node)
            if left <= 0:
                raise ray.exceptions.GetTimeoutError(f"item {self._read} of the stream was not there in time")
            lend([self._items.completed()], LOOK)

    def close(self) -> None:
        """Read no more: the generator is told to end, and what waits is dropped. Returns at once."""
        with self._changed:
            over, self._closed = self._closed or self._ended, True
            self._values.clear()
            self._changed.notify_all()
        if not over:
            with suppress(Exception):  # it has ended by itself, or with its cluster
                ray.cancel(self._items)

    def _is_there(self) -> bool:
        return self._read in self._values or self._closed or (self._ended and self._read == self._asked)

    def _take(self) -> Any:
        if self._read not in self._values:
            raise StopIteration
        value, error = self._values.pop(self._read)
        del self._sizes[self._read]
        self._read += 1
        self._changed.notify_all()
        if error is not None:
            from tierflow.runtime.guard import refusal_in  # here, because it loads pyarrow

            raise refusal_in(error) or error
        return value

    def _fetch(self) -> None:
        """Take references and let their values come, until there are no more or nobody reads them."""
        try:
            while not self._closed:
                size = self._size_of_next()
                if size is not None and self._has_room(size):
                    ref = self._items._next_sync(timeout_s=LOOK)
                    if not ref.is_nil():
                        self._begin(ref, size)
        except StopIteration:
            pass
        except Exception as error:  # there is no cluster any more
            self._begin(None, 0)
            self._arrived(self._asked - 1, None, error)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _begin(self, ref: Any, size: int) -> None:
        with self._changed:
            number, self._asked = self._asked, self._asked + 1
            self._coming.add(number)
            self._sizes[number] = size
        if ref is not None:
            # A thread in `ray.get` would keep others, with the whole interpreter, from letting go of older values.
            ref.future().add_done_callback(partial(self._done, number))

    def _done(self, number: int, future: Any) -> None:
        error = future.exception()
        self._arrived(number, None if error else future.result(), error)

    def _arrived(self, number: int, value: Any, error: BaseException | None) -> None:
        with self._changed:
            self._coming.discard(number)
            if not self._closed:
                self._values[number] = value, error
                self._sizes[number] = self._sizes[number] or weight(value)
            self._changed.notify_all()

    def _size_of_next(self) -> int | None:
        """Bytes of the next object, 0 of a small one or of the end; None where it is not made yet."""
        [ref] = self._items._get_next_ref_n(1)
        if not ray.wait([ref], timeout=LOOK, fetch_local=False)[0]:
            return None
        found = ray.experimental.get_local_object_locations([ref]).get(ref, {})
        if found.get("node_ids"):
            self._node = found["node_ids"][0]
        return int(found.get("object_size") or 0)

    def _has_room(self, size: int) -> bool:
        with self._changed:
            if not self._fits(size) and not self._closed:
                self._changed.wait(LOOK)
            return self._fits(size)

    def _fits(self, size: int) -> bool:
        waiting = sum(self._sizes.values())
        return len(self._coming) < AT_ONCE and (not waiting or waiting + size <= self._limit)
