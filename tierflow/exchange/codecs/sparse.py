"""The largest elements of a tensor and nothing else, where what is left out is added to the next one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tierflow.exchange.codecs.packed import Packed, damaged, of_payload
from tierflow.exchange.codecs.rounding import FLOATS, Floats, floats
from tierflow.exchange.codecs.squeeze import squeeze, unsqueeze
from tierflow.exchange.payload import Payload

__all__ = ["Largest", "Leftover"]


class Largest:
    """The share of a tensor's elements with the largest magnitudes, with their places; the others come out as 0.

    Source: Stich et al., Sparsified SGD with Memory (NeurIPS 2018): see `Leftover`.
    """

    loss = 1.0

    def __init__(self, share: float) -> None:
        self.name = f"top-{share:g}"
        self._share = share

    def takes(self, payload: Payload) -> bool:
        """See `Codec`."""
        return payload.kind in ("tensor", "array") and payload.dtype in FLOATS

    def pack(self, payload: Payload) -> Packed:
        """See `Codec`."""
        values = floats(payload, self.name).reshape(-1)
        count = min(max(int(np.ceil(len(values) * self._share)), 1), len(values))
        places = _largest(np.abs(values), count)
        left = np.abs(values)
        left[places] = 0
        bound = float(left.max(initial=0.0))
        steps = np.diff(places, prepend=0).astype("<u4")
        parts = [squeeze(pa.py_buffer(steps), "zstd", 1), pa.py_buffer(np.ascontiguousarray(values[places]))]
        return of_payload(self.name, payload, parts, {"count": count}, bound)

    def unpack(self, packed: Packed) -> pa.Buffer:
        """See `Codec`."""
        steps, kept = packed.parts
        count, dtype = packed.notes["count"], FLOATS[packed.dtype]
        if not isinstance(count, int) or not 0 <= count <= packed.elements:
            raise damaged(f"{count!r} of {packed.elements} elements")
        places = np.cumsum(np.frombuffer(unsqueeze(steps, "zstd", 4 * count), "<u4"), dtype=np.int64)
        if count and not 0 <= places[-1] < packed.elements:
            raise damaged("an element is beyond the tensor's end")
        values = np.zeros(packed.elements, dtype)
        values[places] = np.frombuffer(kept, dtype)
        return pa.py_buffer(values)


def _largest(sizes: Floats, count: int) -> npt.NDArray[np.intp]:
    """Where the largest are; of equal ones the first, so that every machine takes the same."""
    if not count:
        return np.zeros(0, np.intp)
    least = np.partition(sizes, len(sizes) - count)[len(sizes) - count]
    above = np.flatnonzero(sizes > least)
    equal = np.flatnonzero(sizes == least)[: count - len(above)]
    return np.sort(np.concatenate([above, equal]))


class Leftover:
    """What was left out of the tensors that went before, of one sender and one stream of tensors of one shape."""

    def __init__(self) -> None:
        self._left: npt.NDArray[np.float64] | None = None

    def pack(self, payload: Payload, codec: Largest) -> Packed:
        """Pack a tensor and what is left over from before; remember what is left out now.

        Over many tensors their sum arrives, but for one remainder.
        """
        values = floats(payload, codec.name).astype(np.float64)
        if self._left is not None and self._left.shape == values.shape:
            values = values + self._left
        whole = values.astype(FLOATS[payload.dtype])
        packed = codec.pack(Payload("tensor", payload.dtype, payload.shape, pa.py_buffer(whole), payload.grad))
        sent = np.frombuffer(codec.unpack(packed), FLOATS[payload.dtype]).reshape(values.shape)
        self._left = values - sent
        return packed
