"""The device's model: a small network that forecasts the next 8 rows and how sure it is, from the 32 before them.

A row's score is how far it fell from its forecast, in units of the spread that the network itself expected there, so
that a sharp peak that is hard to forecast does not look odd merely for being one.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from jobs.anomaly.series import Floats

__all__ = ["AHEAD", "CONTEXT", "Forecaster", "Scaling", "cut_windows", "train"]

CONTEXT, AHEAD, WIDTH = 32, 8, 32
# Spread that a forecast is never thought better than, in training deviations: keeps a too sure network from alarms.
FLOOR = 0.2
# Sensors drift: while training each window is scaled by up to this share and shifted by up to this many deviations.
STRETCH, SHIFT, NOISE = 0.3, 0.5, 0.03


@dataclass(frozen=True)
class Scaling:
    """Mean and deviation of each channel on training rows, and the bounds a context is held within."""

    mean: Floats
    deviation: Floats
    low: Floats
    high: Floats

    @classmethod
    def fit(cls, values: Floats) -> Scaling:
        """Learn from training rows, (rows, channels)."""
        mean, deviation = values.mean(axis=0), values.std(axis=0) + 1e-9
        scaled = (values - mean) / deviation
        low, high = scaled.min(axis=0), scaled.max(axis=0)
        room = 0.25 * (high - low)
        return cls(mean, deviation, low - room, high + room)

    def apply(self, values: Floats) -> Floats:
        """Standardise rows, (rows, channels)."""
        return np.asarray((values - self.mean) / self.deviation)


class Network(nn.Module):
    """Two layers of 32 between 32 rows and the forecast of 8: about 2,600 parameters for one channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(channels * CONTEXT, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.centre = nn.Linear(WIDTH, channels * AHEAD)
        self.spread = nn.Linear(WIDTH, channels * AHEAD)

    def forward(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """(windows, 32, channels) to the forecast and the log of its spread, both (windows, 8, channels)."""
        hidden = self.body(context.flatten(1))
        shape = (len(context), AHEAD, context.shape[2])
        centre = self.centre(hidden).view(shape) + context[:, -1:, :]
        return centre, self.spread(hidden).view(shape).clamp(-6.0, 3.0)


@dataclass
class Forecaster:
    """A trained network with the scaling it was trained under and its threshold."""

    scaling: Scaling
    network: Network
    threshold: float = 1.0

    @property
    def parameters(self) -> int:
        """How many numbers the network holds."""
        return sum(weight.numel() for weight in self.network.parameters())

    def score(self, before: Floats, values: Floats) -> Floats:
        """One score a row of ``values``, (rows, channels); ``before`` holds at least the 32 rows that came before."""
        rows = len(values)
        spare = -rows % AHEAD
        padded = np.concatenate([before[-CONTEXT:], values, np.repeat(values[-1:], spare, axis=0)])
        windows = torch.from_numpy(cut_windows(self.scaling.apply(padded), AHEAD)).float()
        low, high = (torch.from_numpy(bound).float() for bound in (self.scaling.low, self.scaling.high))
        with torch.inference_mode():
            # Held within what training saw, a context that went out of range cannot excuse the rows that follow it.
            centre, spread = self.network(torch.maximum(torch.minimum(windows[:, :CONTEXT], high), low))
            miss = (windows[:, CONTEXT:] - centre).abs() / (spread.exp() + FLOOR)
        return np.asarray(miss.amax(dim=2).flatten()[:rows].double().numpy())

    def to_bytes(self) -> bytes:
        """Weights in half precision, scaling and threshold, for :meth:`from_bytes`."""
        held = io.BytesIO()
        weights = {name: weight.half() for name, weight in self.network.state_dict().items()}
        bounds = [torch.from_numpy(np.asarray(a)) for a in vars(self.scaling).values()]
        torch.save({"bounds": bounds, "threshold": self.threshold, "weights": weights}, held)
        return held.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Forecaster:
        """The forecaster that :meth:`to_bytes` wrote."""
        held = torch.load(io.BytesIO(data), weights_only=True)
        scaling = Scaling(*(bound.numpy() for bound in held["bounds"]))
        network = Network(len(scaling.mean))
        network.load_state_dict(held["weights"])
        return cls(scaling, network, held["threshold"])


def cut_windows(values: Floats, stride: int) -> Floats:
    """Windows of 40 rows, one every ``stride``: (windows, 40, channels)."""
    count = (len(values) - CONTEXT - AHEAD) // stride + 1
    return np.asarray(values[np.arange(count)[:, None] * stride + np.arange(CONTEXT + AHEAD)])


def train(values: Floats, *, seed: int, steps: int = 400) -> Forecaster:
    """Train on normal rows, (rows, channels); about half a second on one core for 400 steps."""
    torch.set_num_threads(1)
    scaling = Scaling.fit(values)
    source = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(values.shape[1])
    windows = torch.from_numpy(cut_windows(scaling.apply(values), 1)).float()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for step in range(steps):
        batch = _vary(windows[torch.randint(len(windows), (128,), generator=source)], source)
        context, target = batch[:, :CONTEXT], batch[:, CONTEXT:]
        centre, spread = network(context + NOISE * torch.randn(context.shape, generator=source))
        square = (target - centre) ** 2
        # The spread joins once the centre is roughly right: learned together from the start, it hides every miss.
        loss = square.mean() if step <= steps // 3 else (0.5 * square * torch.exp(-2 * spread) + spread).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return Forecaster(scaling, network.eval())


def _vary(batch: Tensor, source: torch.Generator) -> Tensor:
    scale = 1 + STRETCH * (2 * torch.rand((len(batch), 1, 1), generator=source) - 1)
    shift = SHIFT * (2 * torch.rand((len(batch), 1, batch.shape[2]), generator=source) - 1)
    return batch * scale + shift
