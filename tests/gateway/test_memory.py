"""The largest records that are allowed, several at once by both ways: the process stays small."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import flight

from tests.gateway.conftest import Gateway, opened, stream
from tierflow.exchange.gateway.quota import Limits
from tierflow.runtime.gateway import MOST

AT_ONCE = 4
GROWTH = 300 << 20


def highest(gateway: Gateway, way: Callable[[int], bool]) -> tuple[int, list[bool]]:
    """Bytes that the process had at the most while it was done by so many at once, and what each said."""
    found, over = [gateway.memory()], threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            found.append(gateway.memory())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            done = list(pool.map(way, range(AT_ONCE)))
    finally:
        over.set()
        watcher.join()
    return max(found), done


def test_large_records_at_once_take_bounded_memory(tmp_path: Path) -> None:
    gateway = opened(tmp_path, b"a model")
    limits = Limits(size=MOST, day=1 << 40, rate=100.0)
    tokens = [gateway.made(limits, f"client-{number}") for number in range(AT_ONCE)]
    tables = [pa.table({"x": np.random.default_rng(number).random(1_900_000)}) for number in range(AT_ONCE)]

    def by_http(number: int) -> bool:
        return gateway.put("large", stream(tables[number]), token=tokens[number])[0] == 201

    def by_flight(number: int) -> bool:
        shown = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {tokens[number]}".encode())])
        path = flight.FlightDescriptor.for_path("readings", "large")
        with flight.FlightClient(f"grpc://127.0.0.1:{gateway.flight}") as client:
            writer, reader = client.do_put(path, tables[number].schema, shown)
            with writer:
                writer.write_table(tables[number])
                return b'"again": true' in reader.read().to_pybytes()

    try:
        before = gateway.memory()
        for way in (by_http, by_flight):
            peak, done = highest(gateway, way)
            print(f"{way.__name__}: from {before >> 20} to {peak >> 20} MiB")
            assert all(done)
            assert peak - before < GROWTH
    finally:
        gateway.stop()
