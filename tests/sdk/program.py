"""What a user could have written, in a module that every process can import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import ray

import tierflow


def here() -> str:
    return str(ray.get_runtime_context().get_node_labels()["tierflow.io/node"])


@tierflow.task
def anywhere() -> str:
    return here()


@tierflow.task(tier="edge")
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@tierflow.task(tier="edge", site="plant-1")
def where() -> str:
    return here()


@tierflow.task(tier=("edge", "cloud"), num_cpus=0)
async def slowly(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


@tierflow.task(tier="cloud")
def count(n: int) -> Iterator[int]:
    yield from range(n)


@tierflow.task(num_cpus=0)
async def count_slowly(n: int) -> AsyncIterator[int]:
    for i in range(n):
        await asyncio.sleep(0)
        yield i


@tierflow.task(num_cpus=0.1)
def factorial(n: int) -> int:
    return 1 if n <= 1 else n * int(tierflow.get(factorial.options(name="step").remote(n - 1)))


@tierflow.task
def fail(text: str) -> None:
    raise KeyError(text)


@tierflow.task
def told(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


@tierflow.task(num_returns=2)
def split(pair: tuple[int, int]) -> tuple[int, int]:
    return pair


@tierflow.task
def detect(frame: bytes) -> str:
    return "large"


@detect.variant(accuracy=0.5)
def detect_tiny(frame: bytes) -> str:
    return "tiny"


@detect.variant(accuracy=0.9, tier="device")
def detect_small(frame: bytes) -> str:
    return "small"


class Outer:
    @staticmethod
    @tierflow.task
    def inside(x: int) -> int:
        return -x


@tierflow.actor(tier="edge", num_cpus=0)
class Counter:
    """Counts."""

    step = 2

    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, n: int = 1) -> int:
        self.value += n
        return self.value

    async def later(self, n: int) -> int:
        await asyncio.sleep(0)
        return self.add(n)

    def upto(self, n: int) -> Iterator[int]:
        yield from range(n)

    async def upto_later(self, n: int) -> AsyncIterator[int]:
        for i in range(n):
            yield i

    def me(self) -> Counter:
        return Counter(self.value)

    def where(self) -> str:
        return here()

    @staticmethod
    def twice(n: int) -> int:
        return 2 * n

    @classmethod
    def name(cls) -> str:
        return cls.__name__


@tierflow.actor(num_cpus=0)
class DoubleCounter(Counter):
    def add(self, n: int = 1) -> int:
        return super().add(2 * n)


@tierflow.actor(num_cpus=0)
@dataclass
class Point:
    x: int
    y: int = 0

    def norm(self) -> int:
        return self.x**2 + self.y**2


class Slotted:
    __slots__ = ()


@tierflow.actor(num_cpus=0)
class Bare(Slotted):
    def hello(self) -> str:
        return "hello"
