from __future__ import annotations

import io
import subprocess
import sys
from collections import ChainMap
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given

from tests.exchange import arrow_data
from tests.exchange.taught_pickler import sent, weight
from tierflow.errors import PayloadError
from tierflow.exchange import register, size_of


@dataclass
class Frame:
    rows: pa.Table
    pixels: np.ndarray[Any, Any]
    mask: torch.Tensor


FRAME = Frame(pa.table({"t": [1, 2]}), np.zeros((480, 640), np.uint8), torch.zeros(10, dtype=torch.bool))


def test_a_users_own_class_keeps_its_fields() -> None:
    back = sent(FRAME)
    assert back.rows == FRAME.rows
    assert np.array_equal(back.pixels, FRAME.pixels)
    assert not back.pixels.flags.writeable
    assert torch.equal(back.mask, FRAME.mask)


@pytest.mark.parametrize(
    "value",
    [1, "text", b"x" * 10_000, None, [1.5] * 100, np.zeros(1000), FRAME, {"a": torch.zeros(50_000), "b": [FRAME]}],
    ids=lambda value: type(value).__name__,
)
def test_the_weight_is_what_travels(value: object) -> None:
    assert size_of(value) == pytest.approx(weight(value), rel=0.02, abs=250)


@given(arrow_data.tables())
def test_the_weight_of_a_table_is_what_travels(table: pa.Table) -> None:
    assert abs(size_of(table) - weight(table)) < 250


def test_weighing_copies_no_buffer() -> None:
    table = pa.table({"x": np.zeros(2_000_000)})
    before = pa.total_allocated_bytes()
    assert size_of([table] * 1) > 16_000_000
    assert pa.default_memory_pool().max_memory() - before < 16_000_000 or pa.total_allocated_bytes() == before


def test_what_cannot_be_weighed_is_one_clear_error() -> None:
    with pytest.raises(PayloadError, match="a function cannot be weighed"):
        size_of(lambda: 0)
    with pytest.raises(PayloadError, match="a generator cannot be weighed"):
        size_of(row for row in ())


def test_registering_again_changes_nothing_but_what_ray_took_back() -> None:
    chain: ChainMap[type, Any] = ChainMap({}, {})
    register(chain)
    first = [dict(link) for link in chain.maps]
    register(chain)
    assert [dict(link) for link in chain.maps] == first
    chain[pa.Table] = print
    register(chain)
    assert [dict(link) for link in chain.maps] == first


def test_somebody_elses_reducer_for_tensors_goes_before() -> None:
    chain: ChainMap[type, Any] = ChainMap({torch.Tensor: print})
    register(chain)
    assert chain[torch.Tensor] is print


def test_types_that_are_not_ours_stay_unknown() -> None:
    chain: ChainMap[type, Any] = ChainMap({})
    register(chain)
    assert int not in chain
    with pytest.raises(KeyError):
        chain[torch.nn.Parameter]


def test_saved_files_stay_plain_torch_files() -> None:
    sent(torch.zeros(2))
    file = io.BytesIO()
    torch.save({"w": torch.ones(2)}, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True)["w"], torch.ones(2))


LATE = """
import sys
from collections import ChainMap
from tierflow import exchange
chain = ChainMap({})
exchange.register(chain)
assert exchange.size_of([1]) > 0
assert "torch" not in sys.modules
import torch
assert callable(chain[torch.Tensor])
"""


def test_torch_is_not_loaded_and_a_tensor_made_later_is_covered() -> None:
    subprocess.run([sys.executable, "-c", LATE], check=True, timeout=60)
