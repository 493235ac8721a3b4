"""Teaching a pickler to send Arrow data and tensors as payloads, and weighing a value as that pickler would send it."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange import tables, tensors
from tierflow.exchange.payload import Payload, encode, restore

if TYPE_CHECKING:
    from collections import ChainMap
    from collections.abc import Callable

    import torch

__all__ = ["register", "size_of"]

_ARROW = (pa.Table, pa.RecordBatch)


def register(dispatch: ChainMap[type, Callable[[Any], Any]]) -> None:
    """Make a pickler send tables, record batches and tensors as payloads. It may be repeated; it takes a microsecond.

    Ray installs its own reducer for tables whenever it starts, so call this after that. Tensors are looked up when one
    is met: torch is not imported for this, and a process that loads torch later is covered. A reducer for tensors that
    somebody else chose (Ray's direct transport between actors) goes before.

    Args:
        dispatch: The ``dispatch_table`` of cloudpickle's pickler, which is a chain. Not ``copyreg.dispatch_table``:
            ``torch.save`` reads that too, and its files would no longer load with ``weights_only=True``.
    """
    for arrow in _ARROW:
        dispatch[arrow] = _reduce
    if not any(isinstance(link, _TensorReducer) for link in dispatch.maps):
        dispatch.maps.append(_TensorReducer())


def size_of(value: object) -> int:
    """Bytes that the value takes on a link: its pickle and every buffer beside it, found without copying the buffers.

    Raises:
        PayloadError: Part of the value cannot be pickled.
    """
    scale = _Scale()
    try:
        scale.dump(value)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise PayloadError(
            f"a {type(value).__qualname__} cannot be weighed ({error})", "send data, not code"
        ) from error
    return scale.weight


def _reduce(value: pa.Table | pa.RecordBatch) -> tuple[Callable[[Payload], Any], tuple[Payload]]:
    return restore, (encode(value),)


def _reduce_tensor(value: torch.Tensor) -> Any:
    # Sparse, quantized and other devices' tensors go the way that torch sends them.
    if tensors.carries(value):
        return _reduce(value)
    return value.__reduce_ex__(pickle.HIGHEST_PROTOCOL)  # type: ignore[no-untyped-call]


class _TensorReducer(dict[type, "Callable[[Any], Any]"]):
    """The last link of a dispatch chain: knows tensors once their type exists."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        if kind is not tensors.loaded():
            raise KeyError(kind)
        self[kind] = _reduce_tensor
        return _reduce_tensor


class _Scale(pickle.Pickler):
    """A pickler that keeps the pickle only to count it, and only counts the buffers."""

    def __init__(self) -> None:
        self._pickle = io.BytesIO()
        self._beside = 0
        super().__init__(self._pickle, protocol=5, buffer_callback=self._weigh)

    @property
    def weight(self) -> int:
        """Bytes so far."""
        return self._pickle.tell() + self._beside

    def _weigh(self, buffer: pickle.PickleBuffer) -> None:
        self._beside += buffer.raw().nbytes

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _ARROW):
            self._beside += tables.size(value)
            return restore, (Payload("table", "arrow", value.shape, None),)
        tensor = tensors.loaded()
        if tensor is not None and type(value) is tensor and tensors.carries(value):
            self._beside += value.numel() * value.element_size()
            return restore, (Payload("tensor", str(value.dtype), tuple(value.shape), None, value.requires_grad),)
        return NotImplemented
