"""The work that a node's speed is measured by. Run in a process of its own: ``python -m tierflow.runtime.kernels``.

A process of its own because torch takes 200 MB and stays: the agent that wants to know is small, and lives long. It
prints one line of JSON: the speed of each pass and torch's devices besides the CPU.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from time import perf_counter
from typing import Any

__all__ = ["TIMES", "main"]

TIMES = {"matmul": 0.00060, "elementwise": 0.00059, "network": 0.00076}
"""Seconds that each kernel takes on a node of speed 1: one idle core of an Intel Xeon at 2.6 GHz with AVX-512."""
PART = 0.04
"""Seconds that a pass spends in each kernel on such a node: a pass is many times the 10 ms in which a small CPU quota
stops and goes, so that it sees the quota and not its steps."""
PASSES = 6


def main() -> None:
    """Measure and print."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before numpy and torch are loaded; calls are compared by one core of each node
    kernels = {"matmul": _matmul(), "elementwise": _elementwise()}
    torch = _torch()
    if torch is not None:
        kernels["network"] = _network(torch)
    for kernel in kernels.values():
        kernel()
    print(json.dumps({"speeds": [_pass(kernels) for _ in range(PASSES)], "devices": _devices(torch)}))


def _pass(kernels: dict[str, Callable[[], object]]) -> float:
    began = perf_counter()
    for name, kernel in kernels.items():
        for _ in range(round(PART / TIMES[name])):
            kernel()
    took = perf_counter() - began
    return sum(round(PART / TIMES[name]) * TIMES[name] for name in kernels) / took


def _matmul() -> Callable[[], object]:
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((384, 384), np.float32)
    return lambda: matrix @ matrix


def _elementwise() -> Callable[[], object]:
    import numpy as np

    vector = np.random.default_rng(0).standard_normal(1 << 18, np.float32)
    return lambda: np.tanh(vector * 2 + 1).sum()


def _network(torch: Any) -> Callable[[], object]:
    """A forward pass of two convolutions and a linear layer over four pictures of 32 x 32 pixels."""
    nn = torch.nn
    torch.set_num_threads(1)
    network = nn.Sequential(
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.Flatten(),
        nn.Linear(16 * 32 * 32, 64),
    ).eval()
    pictures = torch.zeros(4, 8, 32, 32)

    def forward() -> object:
        with torch.inference_mode():
            return network(pictures)

    return forward


def _torch() -> Any:
    try:
        import torch
    except (ImportError, OSError):  # not installed, or a library of it is missing
        return None
    return torch


def _devices(torch: Any) -> list[tuple[str, int]]:
    if torch is None:
        return []
    if torch.cuda.is_available():
        found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return [(device.name, device.total_memory) for device in found]
    return [("mps", 0)] if torch.backends.mps.is_available() else []


if __name__ == "__main__":
    main()
