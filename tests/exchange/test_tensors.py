from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.taught_pickler import dumps, sent, weight
from tierflow.exchange import decode, encode

DTYPES = sorted(
    (
        kind
        for kind in vars(torch).values()
        if isinstance(kind, torch.dtype)
        and kind not in (torch.qint8, torch.quint8, torch.qint32)
        and kind not in (torch.quint4x2, torch.quint2x4)
    ),
    key=str,
)


def whole(tensor: torch.Tensor) -> tuple[torch.dtype, torch.Size, bool, bytes]:
    """All that must come back: type, shape, gradient, and the elements bit by bit."""
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    octets = plain.as_strided((plain.numel(),), (1,)).view(torch.uint8).numpy().tobytes()
    return tensor.dtype, tensor.shape, tensor.requires_grad, octets


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)], ids=str)
def test_every_element_type_and_shape_comes_back(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    count = torch.Size(shape).numel() * dtype.itemsize
    octets = (torch.arange(count) % 2).to(torch.uint8)
    tensor = octets.view(dtype).reshape(shape)
    assert whole(decode(encode(tensor))) == whole(tensor)
    assert whole(sent(tensor)) == whole(tensor)


@given(st.data())
def test_every_view_comes_back(data: st.DataObject) -> None:
    tensor = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    tensor = tensor.permute(data.draw(st.permutations(range(4))))
    for axis in range(4):
        start = data.draw(st.integers(0, tensor.shape[axis]))
        tensor = tensor.narrow(axis, start, data.draw(st.integers(0, tensor.shape[axis] - start)))
    back = sent(tensor)
    assert whole(back) == whole(tensor)
    assert weight(tensor) < 300 + tensor.numel() * 4


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0)[::2],
        torch.arange(12.0).reshape(3, 4)[:1, 2:3].t(),
        torch.arange(30.0).as_strided((1, 1), (7, 5), 3),
        torch.ones(1).expand(4, 4),
        torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last),
        torch.tensor([1 + 2j, 3 - 4j]).conj(),
        torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
        torch.zeros(3, requires_grad=True),
        torch.zeros(3, requires_grad=True) * 2,
        torch.tensor(float("nan")),
        torch.tensor([True, False]),
    ],
)
def test_strides_conjugates_and_gradients_come_back(tensor: torch.Tensor) -> None:
    assert whole(sent(tensor)) == whole(tensor)
    assert sent(tensor).is_leaf


@pytest.mark.parametrize("elements", [10, 1_000_000])
def test_what_is_received_is_the_readers_own(elements: int) -> None:
    tensor = torch.arange(float(elements))
    back = sent(tensor)
    back.add_(1)
    back.numpy()[0] = 7
    assert tensor[0] == 0
    assert (back[0], back[1]) == (7, 2)
    mine = decode(encode(tensor))
    mine.zero_()
    assert tensor[1] == 1


def test_a_tensor_deep_inside_a_value_goes_out_of_band() -> None:
    value = {"state": [{"w": torch.ones(100_000)}, (torch.zeros(100_000, dtype=torch.bfloat16), "name")]}
    pickled, beside = dumps(value)
    assert len(pickled) < 1000
    assert [buffer.raw().nbytes for buffer in beside] == [400_000, 200_000]
    back = sent(value)
    assert torch.equal(back["state"][0]["w"], value["state"][0]["w"])
    assert back["state"][1][0].dtype == torch.bfloat16


def test_a_model_its_state_and_an_optimiser_come_back_and_train_on() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 2))
    model[2].bias = model[2].bias
    optimiser = torch.optim.Adam(model.parameters())
    there, steps = sent((model, optimiser.state_dict()))
    torch.optim.Adam(there.parameters()).load_state_dict(steps)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mine = torch.optim.SGD(there.parameters(), lr=0.1)
    there(torch.randn(4, 8)).sum().backward()
    mine.step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.equal(there[0].weight, model[0].weight)
    assert all(isinstance(parameter, torch.nn.Parameter) for parameter in there.parameters())
    model.load_state_dict(sent(there.state_dict()))
    assert torch.equal(there[0].weight, model[0].weight)


def test_one_tensor_named_twice_stays_one() -> None:
    tensor = torch.zeros(3)
    left, right = sent([tensor, tensor])
    assert left is right


def test_tensors_without_a_plain_form_go_as_torch_sends_them() -> None:
    sparse = torch.eye(3).to_sparse()
    assert torch.equal(sent(sparse).to_dense(), sparse.to_dense())
    marked = torch.zeros(2)
    marked.label = "kept"  # type: ignore[attr-defined]
    assert sent(marked).label == "kept"
