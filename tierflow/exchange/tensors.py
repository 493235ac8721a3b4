"""Torch tensors as their elements in row-major order. Torch is imported when the first tensor is met, not before."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tierflow.errors import PayloadError
from tierflow.exchange import mapping

if TYPE_CHECKING:
    import torch

__all__ = ["PRIVATE_FROM", "carries", "read", "write"]

# Bytes from which a private mapping is cheaper than a copy: finding and making one takes about 0.3 ms.
PRIVATE_FROM = 1 << 20


def carries(tensor: torch.Tensor) -> bool:
    """Whether the tensor is dense, in this machine's memory and of a plain element type, with no hook to lose."""
    import torch

    return (
        tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and not tensor.__dict__
        and not tensor._backward_hooks
    )


def write(tensor: torch.Tensor) -> tuple[str, tuple[int, ...], pa.Buffer]:
    """Element type, shape and elements; the buffer is the tensor's own memory where that is contiguous.

    Raises:
        PayloadError: The tensor is sparse, quantized, on another device, or carries attributes or hooks.
    """
    import torch

    if not carries(tensor):
        raise PayloadError(
            f"a {tensor.layout} tensor of {tensor.dtype} on {tensor.device} has no plain row-major form",
            "send tensor.cpu().to_dense(), dequantized and without hooks or attributes, or pickle it",
        )
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    # Not reshape(-1): one element that was cut out of a row keeps the row's stride, and view() refuses it.
    octets = plain.as_strided((plain.numel(),), (1,)).view(torch.uint8)
    return str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), pa.py_buffer(octets.numpy())


def read(dtype: str, shape: tuple[int, ...], data: pa.Buffer, *, grad: bool) -> torch.Tensor:
    """A tensor of the reader's own: the object store's pages mapped privately where that is cheaper, else a copy.

    Raises:
        PayloadError: The element type is unknown, or the buffer's length is not what type and shape say.
    """
    import torch

    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype):
        raise PayloadError(f"torch {torch.__version__} has no element type {dtype!r}", "use one torch on every node")
    wanted = math.prod(shape) * kind.itemsize
    if min(shape, default=0) < 0 or wanted != data.size:
        raise PayloadError(
            f"a tensor of {dtype} with the shape {tuple(shape)} takes {wanted} bytes and the payload holds {data.size}",
            "send it again: it was damaged on its way",
        )
    own = mapping.private(data) if data.size >= PRIVATE_FROM else None
    if own is not None:
        octets = torch.frombuffer(own.memory, dtype=torch.uint8, count=data.size, offset=own.offset)
    else:
        octets = torch.empty(data.size, dtype=torch.uint8)
        octets.numpy()[:] = np.frombuffer(data, dtype=np.uint8)
    return octets.view(kind).reshape(shape).requires_grad_(grad)


def loaded() -> type[torch.Tensor] | None:
    """``torch.Tensor`` if this process has loaded torch; never loads it."""
    return getattr(sys.modules.get("torch"), "Tensor", None)
