"""Lossy codecs of float tensors: fewer bits for each element. Each says by how much a value may be off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange.codecs.packed import Packed, damaged, of_payload
from tierflow.exchange.codecs.squeeze import squeeze, unsqueeze
from tierflow.exchange.payload import Payload

__all__ = ["FLOATS", "Floats", "Rounded", "Scaled", "floats"]

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
FLOATS = {"float32": np.float32, "float64": np.float64}
_UP = 1.001
"""What rounding to the payload's own type may add to a loss, and more."""


def floats(payload: Payload, codec: str) -> Floats:
    """A tensor's elements, in its shape.

    Raises:
        PayloadError: one of them is NaN or infinite.
    """
    values: Floats = np.frombuffer(payload.data, FLOATS[payload.dtype]).reshape(payload.shape)
    if not np.isfinite(values).all():
        raise PayloadError(f"{codec} cannot carry what is not finite", "pack it with a lossless codec, as shuffle is")
    return values


def _is_float(payload: Payload) -> bool:
    return payload.kind in ("tensor", "array") and payload.dtype in FLOATS


class Rounded:
    """Each element as a float of 16 bits, rounded to the nearest: ``fp16`` (IEEE 754) or ``bf16``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._round, self._widen, self.loss = _ROUND[name]

    def takes(self, payload: Payload) -> bool:
        """See `Codec`."""
        return _is_float(payload)

    def pack(self, payload: Payload) -> Packed:
        """See `Codec`."""
        values = floats(payload, self.name)
        narrow = self._round(values.reshape(-1))
        wide = self._widen(narrow).astype(values.dtype)
        if not np.isfinite(wide).all():
            raise PayloadError(
                f"{self.name} has no number as large as {np.abs(values).max():.3g}", "use bf16, or a lossless codec"
            )
        off = wide.astype(np.float64) - values.reshape(-1).astype(np.float64)
        bound = float(np.abs(off).max(initial=0.0))
        return of_payload(self.name, payload, [pa.py_buffer(narrow)], bound=bound)

    def unpack(self, packed: Packed) -> pa.Buffer:
        """See `Codec`."""
        (data,) = packed.parts
        if data.size != 2 * packed.elements:
            raise damaged(f"{packed.elements} elements do not take {data.size} bytes")
        return pa.py_buffer(self._widen(np.frombuffer(data, np.uint16)).astype(FLOATS[packed.dtype]))


def _to_half(values: Floats) -> npt.NDArray[np.uint16]:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).view(np.uint16)


def _from_half(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return bits.view(np.float16).astype(np.float32)


def _to_brain(values: Floats) -> npt.NDArray[np.uint16]:
    with np.errstate(over="ignore"):
        bits = values.astype(np.float32).view(np.uint32)
    nearest = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))  # ties to even
    return (nearest >> np.uint32(16)).astype(np.uint16)


def _from_brain(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


_ROUND: dict[str, tuple[Callable[[Floats], npt.NDArray[np.uint16]], Callable[..., npt.NDArray[np.float32]], float]] = {
    "fp16": (_to_half, _from_half, _UP * 2.0**-11),
    "bf16": (_to_brain, _from_brain, _UP * 2.0**-8),
}


class Scaled:
    """Each channel (the first axis) as whole numbers of 8 or 4 bits and a scale; then through Zstandard.

    The scale is the largest magnitude over the largest whole number, so no element is off by more than half of it.
    Source: Jacob et al., Quantization and Training of Neural Networks (CVPR 2018), symmetric, per channel.
    """

    def __init__(self, bits: int) -> None:
        self.name = f"int{bits}"
        self._bits, self._most = bits, (1 << (bits - 1)) - 1
        self.loss = _UP / (2 * self._most)

    def takes(self, payload: Payload) -> bool:
        """See `Codec`."""
        return _is_float(payload)

    def pack(self, payload: Payload) -> Packed:
        """See `Codec`."""
        values = floats(payload, self.name)
        rows = values.reshape(_channels(payload.shape), -1)
        scale = (np.abs(rows).max(axis=1, initial=0.0) / self._most).astype(np.float64)
        steps = np.divide(rows, scale[:, None], out=np.zeros(rows.shape), where=scale[:, None] > 0)
        whole = np.clip(np.rint(steps), -self._most, self._most).astype(np.int8).reshape(-1)
        back = _times(whole.reshape(rows.shape), scale, values.dtype)
        bound = float(np.abs(back.astype(np.float64) - rows).max(initial=0.0))
        octets: npt.NDArray[np.uint8] = whole.view(np.uint8) if self._bits == 8 else _halved(whole)
        parts = [pa.py_buffer(scale), squeeze(pa.py_buffer(octets), "zstd", 1)]
        return of_payload(self.name, payload, parts, bound=bound)

    def unpack(self, packed: Packed) -> pa.Buffer:
        """See `Codec`."""
        scales, data = packed.parts
        channels = _channels(packed.shape)
        if scales.size != 8 * channels:
            raise damaged(f"{channels} channels do not have {scales.size} bytes of scales")
        size = packed.elements if self._bits == 8 else (packed.elements + 1) // 2
        octets = np.frombuffer(unsqueeze(data, "zstd", size), np.uint8)
        whole = octets.view(np.int8) if self._bits == 8 else _doubled(octets)[: packed.elements]
        rows = whole.reshape(channels, -1)
        return pa.py_buffer(_times(rows, np.frombuffer(scales, np.float64), FLOATS[packed.dtype]))


def _channels(shape: tuple[int, ...]) -> int:
    """How many scales a tensor has: one for each row of what has rows, else one."""
    return max(shape[0], 1) if len(shape) > 1 else 1


def _times(rows: npt.NDArray[np.int8], scale: npt.NDArray[np.float64], dtype: Any) -> Floats:
    """Each row times its scale; what rounding would put beyond the largest number is that number."""
    with np.errstate(over="ignore"):
        values = rows * scale[:, None]
    most = float(np.finfo(dtype).max)
    found: Floats = np.ascontiguousarray(np.clip(values, -most, most).astype(dtype))
    return found


def _halved(whole: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    nibbles = np.append(whole, np.zeros(len(whole) % 2, np.int8)).view(np.uint8) & np.uint8(0xF)
    joined: npt.NDArray[np.uint8] = nibbles[::2] | (nibbles[1::2] << np.uint8(4))
    return joined


def _doubled(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    nibbles = np.stack([octets & np.uint8(0xF), octets >> np.uint8(4)], axis=1).reshape(-1)
    return ((nibbles ^ np.uint8(8)).astype(np.int8) - np.int8(8)).astype(np.int8)
