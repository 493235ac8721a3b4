"""What yields, in a module that every process can import."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray

import tierflow

SIZE = 500_000


def batch(number: int, size: int = SIZE) -> Any:
    return np.full(size, number % 256, np.uint8)


def note(log: str, words: object) -> None:
    with Path(log).open("a") as file:
        file.write(f"{words}\n")


def noting(log: str, count: int, size: int = SIZE) -> Iterator[Any]:
    try:
        for number in range(count):
            note(log, number)
            yield batch(number, size)
    finally:
        note(log, "finally")


@tierflow.task(num_cpus=0, ahead="2 MB")
def batches(log: str, count: int, size: int = SIZE) -> Iterator[Any]:
    yield from noting(log, count, size)


@tierflow.task(num_cpus=0, ahead="2 MB")
async def batches_later(log: str, count: int) -> AsyncIterator[Any]:
    for item in noting(log, count):
        yield item


@tierflow.task(num_cpus=0)
def failing(count: int) -> Iterator[int]:
    yield from range(count)
    raise KeyError("no more")


@tierflow.task(num_cpus=0)
def slow(count: int, seconds: float) -> Iterator[int]:
    for number in range(count):
        time.sleep(seconds)
        yield number


@tierflow.task(num_cpus=0)
def tables(count: int) -> Iterator[pa.RecordBatch]:
    for number in range(count):
        yield pa.record_batch({"x": [number] * 3})


@tierflow.task(num_cpus=0, ahead="2 MB", max_retries=1)
def dying(log: str, count: int) -> Iterator[Any]:
    """Its worker dies once, with batches made that nobody has read."""
    for number in range(count):
        if number == 6 and not Path(log).exists():
            note(log, "dead")
            os._exit(1)
        yield batch(number)


def whose() -> tuple[str, str | None, str]:
    context = ray.get_runtime_context()
    return context.get_task_id() or "", context.get_actor_id(), context.get_node_labels()["tierflow.io/node"]


@tierflow.task(num_cpus=0)
def twice(x: int) -> int:
    return 2 * x


@tierflow.task(tier="device", num_cpus=1, ahead="1 MB")
def nested() -> Iterator[Any]:
    """The device has one core, and the calls that it makes want it too."""
    yield whose()
    for x in range(3):
        yield tierflow.get(twice.options(tier="device", num_cpus=1).remote(x))
    yield reads()
    yield threading.current_thread().name


@tierflow.task(tier="device", num_cpus=1, ahead="1 MB")
def numbers(count: int) -> Iterator[int]:
    yield from range(count)


@tierflow.task(tier="device", num_cpus=1)
def reads() -> list[int]:
    """So does the stream that it reads."""
    return list(tierflow.stream(numbers.remote(3)))


@tierflow.actor(num_cpus=0, ahead="2 MB")
class Source:
    def batches(self, log: str, count: int, size: int = SIZE) -> Iterator[Any]:
        yield from noting(log, count, size)

    def all(self, log: str, count: int) -> list[int]:
        items = self.batches(log, count, 10)
        next(items)
        time.sleep(0.2)
        made = Path(log).read_text().split()
        return [len(made), *(int(item[0]) for item in items)]

    def whose(self) -> Iterator[Any]:
        yield whose()

    def echo(self) -> Generator[int, int, str]:
        sent = yield 0
        yield sent + 1
        return "end"

    def echoed(self) -> list[Any]:
        items, found = self.echo(), []
        found += [next(items), items.send(5)]
        try:
            next(items)
        except StopIteration as ended:
            found.append(ended.value)
        return found

    def tree(self, depth: int) -> Iterator[str]:
        yield threading.current_thread().name
        if depth:
            yield from self.tree(depth - 1)

    def threads(self) -> list[str]:
        return [thread.name for thread in threading.enumerate()]


class Later:
    async def numbers(self, log: str) -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                await asyncio.sleep(0.01)
                yield number
        finally:
            note(log, "finally")


class Endless:
    def numbers(self) -> Iterator[int]:
        for number in itertools.count():
            time.sleep(0.01)
            yield number

    def ping(self) -> str:
        return "here"
