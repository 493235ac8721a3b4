"""Weights against what really goes over a link."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.exchange import size_of
from tierflow.runtime.weight import LOOKED_AT, SCALAR, weight


@dataclass
class Frame:
    camera: str
    pixels: Any


class Slotted:
    __slots__ = ("pixels",)


EXACT: Mapping[str, Any] = {
    "bytes": bytes(100_000),
    "text": "x" * 100_000,
    "array": np.zeros((100, 1000)),
    "view": np.zeros((1000, 1000))[:100],
    "bytearray": bytearray(50_000),
    "table": pa.table({"a": np.arange(100_000)}),
    "list of arrays": [np.zeros(1000) for _ in range(100)],
    "nested": {"frames": [{"pixels": bytes([number]) * 10_000} for number in range(10)], "name": "cam-1"},
    "object": Frame("cam-1", np.zeros(100_000)),
    "list of texts": [f"{number:1000}" for number in range(1000)],
}


@pytest.mark.parametrize("name", list(EXACT))
def test_the_weight_of_large_values_is_near_their_size(name: str) -> None:
    assert weight(EXACT[name]) == pytest.approx(size_of(EXACT[name]), rel=0.05)


@pytest.mark.parametrize("value", [None, 1, 1.5, True, Frame, test_the_weight_of_large_values_is_near_their_size])
def test_what_has_no_data_weighs_little(value: Any) -> None:
    assert weight(value) == SCALAR


@pytest.mark.parametrize("value", [[], (), {}, set(), "", b"", frozenset()])
def test_what_is_empty_weighs_little(value: Any) -> None:
    assert SCALAR <= weight(value) <= 2 * SCALAR


def test_of_a_long_container_only_the_first_items_are_looked_at() -> None:
    looked_at = []

    class Counted:
        @property
        def nbytes(self) -> int:
            looked_at.append(self)
            return 1000

    assert weight([Counted() for _ in range(10_000)]) == pytest.approx(10_000 * 1000, rel=0.05)
    assert len(looked_at) == LOOKED_AT


def test_cycles_and_slots_end() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    assert 0 < weight(ring) < 10_000
    assert weight(Slotted()) >= SCALAR


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=5000),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@given(values)
def test_any_value_has_a_weight(value: Any) -> None:
    assert weight(value) >= SCALAR
    assert weight([value]) >= weight(value)


def test_it_loads_nothing() -> None:
    script = (
        "import sys; from tierflow.runtime.weight import weight; weight([b'x', {}]); "
        "print('numpy' in sys.modules, 'pyarrow' in sys.modules, 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 3
