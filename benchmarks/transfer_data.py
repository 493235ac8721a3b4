"""What G1 moves: real sensor readings, activations and weights of a real model, and noise; importable on every node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["KINDS", "make"]


def make(kind: str, size: int, seed: int) -> Any:
    """A value of about `size` bytes; another for each seed."""
    return KINDS[kind](size, np.random.default_rng(seed))


def readings(size: int, rng: np.random.Generator) -> pa.Table:
    """Rows of the main job's sensor series, one after the other from a random one on, with their times and names."""
    columns = _readings()
    rows = size // (8 + 8 + 2)
    at = (int(rng.integers(len(columns[1]))) + np.arange(rows)) % len(columns[1])
    names = pa.DictionaryArray.from_arrays(pa.array(columns[2][at].astype(np.int16)), columns[0])
    return pa.table({"at": np.arange(rows) * 4_000_000, "value": columns[1][at], "series": names.dictionary_decode()})


@cache
def _readings() -> tuple[pa.Array, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    from jobs.anomaly.catalog import CATALOG, load

    names, values, number = [], [], []
    for index, name in enumerate(sorted(CATALOG)):
        series = load(name)
        column = np.asarray(series.values, np.float64).reshape(len(series.values), -1)[:, 0]
        names.append(name)
        values.append(column)
        number.append(np.full(len(column), index))
    return pa.array(names), np.concatenate(values), np.concatenate(number)


def activations(size: int, rng: np.random.Generator) -> Any:
    """What a layer of the benchmarks' detector gives for frames, as a torch tensor."""
    import torch

    frames = rng.integers(0, 256, (max(size // (32 * 32 * 32 * 4), 1), 1, 64, 64)).astype(np.float32) / 255
    smooth = torch.nn.functional.avg_pool2d(torch.from_numpy(frames), 5, 1, 2)
    with torch.inference_mode():
        return _network()(smooth)


@cache
def _network() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)).eval()


def weights(size: int, rng: np.random.Generator) -> Any:
    """A trained layer's weights, more or less: normal, as a torch tensor."""
    import torch

    rows = max(size // 4 // 512, 1)
    return torch.from_numpy((rng.normal(size=(rows, 512)) / np.sqrt(512)).astype(np.float32))


def noise(size: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Random bytes, which nothing makes smaller."""
    return np.frombuffer(rng.bytes(size), np.uint8)


KINDS: Mapping[str, Callable[[int, np.random.Generator], Any]] = {
    "sensor readings": readings,
    "activations": activations,
    "weights": weights,
    "noise": noise,
}
"""By name."""
