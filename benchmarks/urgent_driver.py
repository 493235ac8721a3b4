"""The inside of G2: small calls of an actor at the edge, while nothing else crosses the uplink and while much does.

``python -m benchmarks.urgent_driver REPEATS SIZE RATE``, with bytes and the uplink's bytes per second.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

import tierflow
from benchmarks.driven import answer, join, tell


@dataclass(frozen=True, slots=True)
class Uplink:
    """Bytes per second, and seconds one way."""

    rate: float
    delay: float


SLOW, FAST = Uplink(625_000.0, 0.02), Uplink(12.5e6, 0.01)
EDGE, BACK = "gw-1", "plant-1->region-1"
SIZE, SMALL = 50_000_000, 1_000
"""Bytes of what is fetched meanwhile, and of what a small call carries there and back."""
PAUSE = 0.02
"""Seconds between two small calls."""
BEFORE = 5.0
"""Seconds of small calls alone."""


@tierflow.actor(node=EDGE, num_cpus=0, max_concurrency=2)
class Echo:
    """Answers with what it is given."""

    def say(self, words: bytes) -> bytes:
        """Answer at once."""
        return words

    def large(self, size: int, seed: int) -> np.ndarray[Any, Any]:
        """Random bytes, which nothing makes smaller."""
        return np.frombuffer(np.random.default_rng(seed).bytes(size), np.uint8)


def calls(echo: Any, going: Callable[[], bool]) -> list[float]:
    """Seconds of small calls, one after the other as long as something goes on."""
    words, took = os.urandom(SMALL), []
    while going():
        began = time.perf_counter()
        ray.get(echo.say.remote(words))
        took.append(time.perf_counter() - began)
        time.sleep(PAUSE)
    return took


def _until(end: float) -> Callable[[], bool]:
    return lambda: time.monotonic() < end


def main(repeats: int, size: int, rate: float) -> None:
    """Small calls alone, and during a transfer; seconds of each, and seconds and bytes of the transfer."""
    join()
    echo = Echo.remote()
    rows = []
    for turn in range(repeats):
        ref = echo.large.remote(size, turn)
        ray.wait([ref], fetch_local=False)
        alone = calls(echo, _until(time.monotonic() + (BEFORE if rate == SLOW.rate else 0.5)))
        before, began = tierflow.traffic()[BACK], time.monotonic()
        thread = threading.Thread(target=ray.get, args=(ref,))
        thread.start()
        beside = calls(echo, thread.is_alive)
        seconds = time.monotonic() - began
        rows.append([alone, beside, seconds, tierflow.traffic()[BACK] - before])
        tell(f"{turn + 1} of {repeats} at {rate * 8e-6:g} Mbit/s")
        del ref
    answer(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
