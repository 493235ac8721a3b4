"""Functions of very different shape, for the benchmarks that place them: importable on every node.

`statistics` has a large input and little to compute, `forecast` a small input and much to compute, `detect` some of
both. Models have fixed random weights: what they say is of no interest here, what they cost is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["SHAPES", "Shape", "detect", "forecast", "statistics"]

FRAME = (320, 640)
"""Rows and columns of a camera frame, one byte each: 205 kB."""
CHANNELS, HIDDEN, SAMPLES = 4, 384, 64
"""Of the forecast: channels of the readings, units of its network, futures that are drawn."""


def statistics(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean, deviation, entropy of the histogram and mean gradient of each frame (frames, rows, columns)."""
    rows = []
    for frame in frames:
        share = np.bincount(frame.ravel(), minlength=256) / frame.size
        present = share[share > 0]
        wide = frame.astype(np.float32)
        gradient = np.hypot(np.diff(wide, axis=0)[:, :-1], np.diff(wide, axis=1)[:-1]).mean()
        rows.append((wide.mean(), wide.std(), float(-(present * np.log2(present)).sum()), gradient))
    return np.array(rows, np.float64)


def forecast(readings: pa.Table) -> NDArray[np.float32]:
    """Drawn futures of a window of readings: mean and deviation of the next value of each column."""
    import torch

    window = np.stack([column.to_numpy() for column in readings.columns], axis=1).astype(np.float32)
    network, head = _recurrent()
    with torch.inference_mode():
        batch = torch.from_numpy(window).unsqueeze(0).repeat(SAMPLES, 1, 1)
        noise = torch.Generator().manual_seed(0)
        batch += 0.01 * torch.randn(batch.shape, generator=noise)
        states, _ = network(batch)
        futures = head(states[:, -1])
        found: NDArray[np.float32] = torch.stack([futures.mean(0), futures.std(0)]).numpy()
    return found


def detect(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The score of the likeliest object in each frame, and where it is: a small convolutional network."""
    import torch

    network = _convolutional()
    found = []
    with torch.inference_mode():
        for frame in frames:
            scores = network(torch.from_numpy(frame.astype(np.float32) / 255.0)[None, None])[0, 0]
            at = int(scores.argmax())
            found.append((float(scores.flatten()[at]), float(at // scores.shape[1]), float(at % scores.shape[1])))
    return np.array(found, np.float32)


@cache
def _recurrent() -> tuple[torch.nn.Module, torch.nn.Module]:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return torch.nn.GRU(CHANNELS, HIDDEN, batch_first=True), torch.nn.Linear(HIDDEN, CHANNELS)


@cache
def _convolutional() -> torch.nn.Module:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for inward, outward, stride in ((1, 48, 2), (48, 96, 1), (96, 160, 2)):
        layers += [torch.nn.Conv2d(inward, outward, 3, stride=stride, padding=1), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Conv2d(160, 1, 1))


def _frames(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (count, *FRAME), dtype=np.uint8)


def _readings(rng: np.random.Generator, count: int) -> pa.Table:
    return pa.table({f"channel {at}": rng.normal(size=count).astype(np.float32) for at in range(CHANNELS)})


@dataclass(frozen=True, slots=True)
class Shape:
    """A function with what the benchmarks know of it: makes inputs of a size, and counts what they cost.

    `sizes` counts frames or readings; `operations` gives the floating-point operations (or the like) of one of them,
    `bytes_each` its bytes. `placed` is the size at which placements are compared.
    """

    function: Callable[[Any], Any]
    make: Callable[[np.random.Generator, int], Any]
    sizes: tuple[int, ...]
    placed: int
    operations: float
    bytes_each: float

    def input(self, rng: np.random.Generator, count: int) -> Any:
        """A new input, unlike all before it, so that no node has a copy."""
        return self.make(rng, count)


_PIXELS = float(FRAME[0] * FRAME[1])
_RECURRENT = 2.0 * SAMPLES * 3 * HIDDEN * (CHANNELS + HIDDEN)
_CONVOLUTIONAL = 2.0 * 9 * _PIXELS * (48 / 4 + 48 * 96 / 4 + 96 * 160 / 16)

SHAPES: Mapping[str, Shape] = {
    "statistics": Shape(statistics, _frames, (1, 3, 9), 3, 20.0 * _PIXELS, _PIXELS),
    "forecast": Shape(forecast, _readings, (256, 512), 512, _RECURRENT, 4.0 * CHANNELS),
    "detect": Shape(detect, _frames, (1, 3), 3, _CONVOLUTIONAL, _PIXELS),
}
"""By name: large input and little compute, small input and much compute, and some of both."""
