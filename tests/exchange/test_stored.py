"""Values at rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tierflow.errors import PayloadError
from tierflow.exchange import freeze, thaw

TABLE = pa.table({"t": [1.5, None, 2.5], "name": ["a", "b", "c"]})


@pytest.mark.parametrize("value", [b"", b"a\nb", "", "ä\n", None, 0, -1.5, True, [], {"a": [1, {"b": None}]}, TABLE])
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    found = thaw(freeze(value))
    assert found == value
    assert type(found) is type(value)


def test_a_record_batch_comes_back() -> None:
    batch = TABLE.to_batches()[0]
    assert thaw(freeze(batch)) == batch


@pytest.mark.parametrize("array", [np.arange(6).reshape(2, 3)[:, ::2], np.float32(2) * np.ones(()), np.zeros((0, 3))])
def test_an_array_comes_back_and_may_be_written_to(array: np.ndarray[Any, Any]) -> None:
    found = thaw(freeze(np.asarray(array)))
    np.testing.assert_array_equal(found, array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    found[...] = 7


def test_a_tensor_comes_back() -> None:
    tensor = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)
    assert torch.equal(thaw(freeze(tensor)), tensor)


def test_a_state_dict_comes_back_and_each_part_has_its_place() -> None:
    state = {"a.weight": torch.arange(6.0), "b.bias": torch.ones(2, 3), "scale": np.float32([1, 2]), "epoch": 7}
    data = freeze(state)
    found = thaw(data)
    assert list(found) == list(state)
    assert torch.equal(found["a.weight"], state["a.weight"])
    assert torch.equal(found["b.bias"], state["b.bias"])
    assert found["epoch"] == 7
    assert len(data) % 64 == 0
    with pytest.raises(PayloadError, match="is not whole"):
        thaw(data[:-64])


def test_of_mappings_in_a_mapping_all_come_back() -> None:
    state = {"model": {"w": torch.zeros(2)}, "steps": [1, 2]}
    found = thaw(freeze(state))
    assert torch.equal(found["model"]["w"], torch.zeros(2))
    assert found["steps"] == [1, 2]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values | st.binary())
def test_json_and_bytes_come_back(value: Any) -> None:
    assert thaw(freeze(value)) == value


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, object(), np.array([object()]), [b"in a list"]])
def test_what_would_not_come_back_is_refused(value: Any) -> None:
    with pytest.raises(PayloadError, match="no Arrow form"):
        freeze(value)


@pytest.mark.parametrize(
    "data", [b"", b"no json\nx", b"{}\nx", b'{"kind": "moon", "dtype": "", "shape": [], "grad": 0}\n']
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PayloadError):
        thaw(data)
