"""Through a real object store: nothing is copied on the way in, and nobody can spoil what another reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tierflow.cost import Codec
from tierflow.exchange.mapping import region_of
from tierflow.runtime import payloads
from tierflow.runtime.packing import Packages

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("local_ray")

ROWS = 500_000


def place(address: int) -> tuple[str, int, int]:
    """The file that an address shows, its inode, and the address' place in it: the same in every process of a node."""
    region = region_of(address)
    assert region is not None
    return region.path, region.inode, address - region.start + region.offset


def places(value: Any) -> list[tuple[str, int, int]]:
    """Where the bulk of a value lies."""
    if isinstance(value, torch.Tensor):
        return [place(value.data_ptr())]
    if isinstance(value, np.ndarray):
        return [place(value.ctypes.data)]
    if isinstance(value, pa.Table):
        return [place(column.chunk(0).buffers()[-1].address) for column in value.columns]
    return [place(column.buffers()[-1].address) for column in value.columns]


@ray.remote
def reads(value: Any) -> list[tuple[str, int, int]]:
    return places(value)


@ray.remote
def makes(kind: str) -> Any:
    payloads.register()
    return VALUES[kind]()


@ray.remote
def spoils(value: torch.Tensor) -> float:
    value.add_(1)
    return float(value[0])


VALUES = {
    "table": lambda: pa.table({"x": np.arange(float(ROWS)), "y": np.ones(ROWS)}),
    "batch": lambda: pa.record_batch({"x": np.arange(float(ROWS))}),
    "tensor": lambda: torch.arange(float(ROWS)),
    "bfloat16": lambda: torch.ones(ROWS * 2, dtype=torch.bfloat16),
    "array": lambda: np.arange(float(ROWS)),
}


@pytest.mark.parametrize("kind", VALUES)
def test_every_reader_on_the_node_reads_the_same_bytes_of_the_object_store(kind: str) -> None:
    payloads.register()
    ref = ray.put(VALUES[kind]())
    mine = ray.get(ref)
    here, again, there = places(mine), places(ray.get(ref)), ray.get(reads.remote(ref))
    assert here == again == there
    assert all(path.startswith("/dev/shm/plasma") for path, _, _ in here)


@pytest.mark.parametrize("kind", VALUES)
def test_what_a_task_returns_is_read_in_the_object_store(kind: str) -> None:
    value = ray.get(makes.remote(kind))
    assert all(path.startswith("/dev/shm/plasma") for path, _, _ in places(value))
    expected = VALUES[kind]()
    same = (
        torch.equal
        if isinstance(expected, torch.Tensor)
        else np.array_equal
        if kind == "array"
        else type(expected).equals
    )
    assert same(value, expected)


def test_a_tensor_may_be_written_and_nobody_else_sees_it() -> None:
    payloads.register()
    ref = ray.put(torch.zeros(ROWS))
    mine, other = ray.get(ref), ray.get(ref)
    assert ray.get([spoils.remote(ref), spoils.remote(ref)]) == [1, 1]
    mine.add_(5)
    assert (mine[0], other[0], ray.get(ref)[0]) == (5, 0, 0)


def test_a_received_model_trains_without_touching_the_store() -> None:
    payloads.register()
    ref = ray.put(torch.nn.Linear(1000, 500))
    model = ray.get(ref)
    untouched = ray.get(ref).weight.sum()
    model(torch.ones(2, 1000)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    assert ray.get(ref).weight.sum() == untouched
    assert model.weight.sum() != untouched


def test_a_tensor_outlives_the_reference_it_came_by() -> None:
    payloads.register()
    value = ray.get(ray.put(torch.full((ROWS,), 3.0)))
    for filler in range(40):
        ray.put(np.full(ROWS, float(filler), np.float32))
    assert (value == 3).all()


def test_a_value_whose_node_has_died_is_packed_elsewhere() -> None:
    value = np.arange(100_000)
    package = Packages().of(ray.put(value), value.nbytes, Codec("zstd-3", 0.2), "gone-1")
    assert (ray.get(package, timeout=60) == value).all()


def test_nested_values_and_a_slice_arrive() -> None:
    payloads.register()
    table = VALUES["table"]()
    back = ray.get(ray.put({"few": table.slice(10, 5), "state": [{"w": torch.ones(3, requires_grad=True)}]}))
    assert back["few"].equals(table.slice(10, 5))
    assert back["few"].get_total_buffer_size() < 1000
    assert back["state"][0]["w"].requires_grad
