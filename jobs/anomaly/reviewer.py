"""The larger model: an autoencoder over window summaries, trained on every site's released summaries.

The edge asks it about the windows that a device is unsure of: a window is odd when its summary cannot be rebuilt.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from jobs.anomaly.series import Floats
from jobs.anomaly.summary import SIZE

__all__ = ["Reviewer", "train"]

HIDDEN, LATENT = 128, 12
FLOOR = 0.1


class Autoencoder(nn.Module):
    """Summary and which series it is of, through 12 numbers, back to the summary: about 13,000 parameters."""

    def __init__(self, series: int) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(SIZE + series, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, LATENT))
        self.decode = nn.Sequential(nn.Linear(LATENT + series, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, SIZE))

    def forward(self, summaries: Tensor, which: Tensor) -> Tensor:
        """(windows, 34) and one-hot (windows, series) to the rebuilt summaries, (windows, 34)."""
        latent = self.encode(torch.cat([summaries, which], dim=1))
        rebuilt: Tensor = self.decode(torch.cat([latent, which], dim=1))
        return rebuilt


@dataclass
class Reviewer:
    """A trained autoencoder; ``names`` are the series it knows, ``centre`` and ``scale`` (series, 34) standardise."""

    names: tuple[str, ...]
    centre: Floats
    scale: Floats
    network: Autoencoder

    @property
    def parameters(self) -> int:
        """How many numbers the network holds."""
        return sum(weight.numel() for weight in self.network.parameters())

    def score(self, name: str, summaries: Floats) -> Floats:
        """How badly each summary, (windows, 34), of the series ``name`` is rebuilt; (windows,)."""
        row = self.names.index(name)
        scaled = torch.from_numpy((summaries - self.centre[row]) / self.scale[row]).float()
        which = torch.zeros(len(scaled), len(self.names))
        which[:, row] = 1.0
        with torch.inference_mode():
            # Bounded, so that a summary far from all that was seen cannot be rebuilt by running along with it.
            miss = scaled - self.network(scaled.clamp(-4.0, 4.0), which)
        return np.asarray(miss.square().mean(dim=1).sqrt().double().numpy())

    def to_bytes(self) -> bytes:
        """Weights in half precision and scaling, for :meth:`from_bytes`."""
        held = io.BytesIO()
        weights = {name: weight.half() for name, weight in self.network.state_dict().items()}
        bounds = (torch.from_numpy(self.centre), torch.from_numpy(self.scale))
        torch.save({"names": list(self.names), "bounds": bounds, "weights": weights}, held)
        return held.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Reviewer:
        """The reviewer that :meth:`to_bytes` wrote."""
        held = torch.load(io.BytesIO(data), weights_only=True)
        network = Autoencoder(len(held["names"]))
        network.load_state_dict(held["weights"])
        centre, scale = held["bounds"]
        return cls(tuple(held["names"]), centre.numpy(), scale.numpy(), network)


def train(summaries: Mapping[str, Floats], *, seed: int, steps: int = 600) -> Reviewer:
    """Train on the normal summaries of each series, {name: (windows, 34)}; every series weighs the same."""
    torch.set_num_threads(1)
    names = tuple(sorted(summaries))
    centre = np.stack([summaries[name].mean(axis=0) for name in names])
    scale = np.stack([summaries[name].std(axis=0) + FLOOR for name in names])
    rows = [torch.from_numpy((summaries[n] - centre[i]) / scale[i]).float() for i, n in enumerate(names)]
    source = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Autoencoder(len(names))
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    which = torch.eye(len(names)).repeat_interleave(32, dim=0)
    for _ in range(steps):
        batch = torch.cat([part[torch.randint(len(part), (32,), generator=source)] for part in rows])
        noisy = batch + 0.2 * torch.randn(batch.shape, generator=source)
        loss = (network(noisy, which) - batch).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return Reviewer(names, centre, scale, network.eval())
