"""What the policy lets out of a site: a short summary of each normal window, in 8 bits a number.

A summary holds how strong 12 bands of the window's spectrum are (no phase), its level, its spread and its steepest
steps, averaged over channels and for the strongest channel, all on standardised values. Left out are units, times,
the order of windows and the phase: the reading at a given moment cannot be had back from it. This is less than
anonymity in the strict sense, and is said so in the report.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.anomaly.series import Floats

__all__ = ["SIZE", "dequantise", "quantise", "release", "released", "summarise"]

BANDS = 12
SIZE = 2 * (BANDS + 5)
STEP = 1 / 16  # one step of the 8 bits; summaries are held within -8 .. 8


def summarise(windows: Floats) -> Floats:
    """Summaries (windows, 34) of standardised windows (windows, 40, channels)."""
    level = windows.mean(axis=1)
    centred = windows - level[:, None, :]
    power = np.abs(np.fft.rfft(centred * np.hanning(windows.shape[1])[None, :, None], axis=1))[:, 1:]
    bands = np.stack([np.log10(part.mean(axis=1) + 1e-2) for part in np.array_split(power, BANDS, axis=1)], axis=-1)
    slope, bend = np.diff(windows, axis=1), np.diff(windows, n=2, axis=1)
    shape = [level, np.log10(windows.std(axis=1) + 1e-2), np.log10(np.abs(slope).max(axis=1) + 1e-2)]
    shape += [np.log10(np.abs(bend).max(axis=1) + 1e-2), np.log10(np.abs(bend).mean(axis=1) + 1e-2)]
    features = np.concatenate([bands, np.stack(shape, axis=-1)], axis=2)
    strongest = np.take_along_axis(features, np.abs(features).argmax(axis=1)[:, None, :], axis=1)[:, 0]
    return np.asarray(np.concatenate([features.mean(axis=1), strongest], axis=1))


def quantise(summaries: Floats) -> NDArray[np.int8]:
    """To 8 bits, steps of 1/16."""
    return np.clip(np.rint(summaries / STEP), -128, 127).astype(np.int8)


def dequantise(codes: NDArray[np.int8]) -> Floats:
    """Back to numbers; at most half a step off, or cut at -8 and 7.94."""
    return codes.astype(np.float64) * STEP


def release(summaries: Floats, seed: int) -> pa.RecordBatch:
    """An Arrow batch of 8-bit summaries in shuffled order: the one thing about the readings that may leave a site."""
    order = np.random.default_rng(seed).permutation(len(summaries))
    codes = quantise(summaries)[order]
    column = pa.FixedSizeListArray.from_arrays(pa.array(codes.reshape(-1)), codes.shape[1])
    return pa.record_batch([column], names=["summary"])


def released(batch: pa.RecordBatch) -> Floats:
    """The summaries in a batch made by :func:`release`, (windows, 34)."""
    column = batch.column("summary")
    return dequantise(column.flatten().to_numpy().reshape(len(column), -1))
