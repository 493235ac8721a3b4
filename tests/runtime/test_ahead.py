"""What is made ahead: in order, never more bytes than are allowed, and it ends when it is told to."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.runtime.ahead import Ahead


class Sized:
    """An item of so many bytes; `sizes` are those of all that are there."""

    sizes: ClassVar[dict[int, int]] = {}

    def __init__(self, size: int) -> None:
        self.size = size
        Sized.sizes[id(self)] = size

    def __del__(self) -> None:
        del Sized.sizes[id(self)]


def weigh(item: Any) -> int:
    return int(item.size if isinstance(item, Sized) else item)


def made(sizes: list[int], log: list[object]) -> Iterator[int]:
    try:
        for size in sizes:
            log.append(size)
            yield size
    finally:
        log.append("end")


def soon(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.001)


def ahead_by(sizes: list[int], read: int, limit: int) -> int:
    """How many are made when so many were read and the last of these is not known to be: the obvious way."""
    waiting: list[int] = []
    at = 0
    for now in range(read + 1):
        if now:
            waiting = waiting[1:] if now > 1 else waiting
        while at < len(sizes) and (not sum(waiting) or sum(waiting) + sizes[at] <= limit):
            waiting.append(sizes[at])
            at += 1
    return min(at + 1, len(sizes))  # and one that is held until there is room


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(0, 100), st.integers(1, 12))
def test_it_is_as_far_ahead_as_the_limit_allows_and_no_further(sizes: list[int], limit: int, read: int) -> None:
    log: list[object] = []
    ahead = Ahead(made(sizes, log), limit, weigh=weigh)
    read = min(read, len(sizes))
    found = [next(ahead) for _ in range(read)]
    if read:
        want = ahead_by(sizes, read, limit)
        soon(lambda: len([item for item in log if item != "end"]) == want)
        assert ahead.waiting <= max(limit, found[-1], *sizes)
    assert found + list(ahead) == sizes
    assert log == [*sizes, "end"]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(0, 100))
def test_never_more_than_the_limit_and_one_item_are_there(sizes: list[int], limit: int) -> None:
    most = 0

    def items() -> Iterator[Sized]:
        nonlocal most
        for size in sizes:
            item = Sized(size)
            most = max(most, sum(list(Sized.sizes.values())))
            yield item
            del item

    ahead = Ahead(items(), limit, weigh=weigh)
    found = []
    while ahead.ready():
        try:
            item = next(ahead)
        except StopIteration:
            break
        assert ahead.waiting <= max(limit, item.size, max(sizes))
        found.append(item.size)
        del item
    assert found == sizes
    assert most <= max(limit, *sizes) + max(sizes)


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("no more")

    ahead = Ahead(items(), 100, weigh=weigh)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(KeyError, match="no more"):
        next(ahead)
    assert list(ahead) == []


def test_closing_it_ends_the_generator_and_its_thread() -> None:
    log: list[object] = []
    ahead = Ahead(made([1] * 100, log), 3, weigh=weigh)
    assert next(ahead) == 1
    soon(lambda: len(log) == 4)
    ahead.close()
    assert log == [1, 1, 1, 1, "end"]
    assert list(ahead) == []
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "tierflow-ahead"]


def test_one_that_was_never_read_is_closed_without_being_begun() -> None:
    log: list[object] = []
    ahead = Ahead(made([1], log), 3, weigh=weigh)
    ahead.close()
    assert (log, list(ahead)) == ([], [])


def test_it_runs_in_its_callers_context_and_in_one_thread() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")

    def items() -> Iterator[tuple[str, str]]:
        for _ in range(3):
            yield name.get(), threading.current_thread().name

    name.set("mine")
    assert set(Ahead(items(), 100, weigh=lambda item: 1)) == {("mine", "tierflow-ahead")}


def test_whether_one_is_ready_is_known_in_time() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        gate.wait()
        yield 1

    ahead = Ahead(items(), 100, weigh=weigh)
    assert not ahead.ready(0.01)
    gate.set()
    assert ahead.ready(10)
    assert list(ahead) == [1]
