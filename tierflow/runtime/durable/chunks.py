"""Where bytes are cut into chunks: by what is in them, so that a change moves only the chunks that it touches.

A chunk ends behind eight words of 8 bytes whose hash has its first bits zero, as in content-defined chunking
(Muthitacharoen et al., "A low-bandwidth network file system", SOSP 2001), so bytes that are put in or taken out shift
no cut but the next; by 8 bytes, to which Arrow's buffers and the parts of a stored mapping are padded.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST", "SMALLEST", "chunks"]

SMALLEST, LARGEST = 1 << 14, 1 << 18
"""Bytes of a chunk at the least (but for the last) and at the most."""
_BITS = 13
"""A cut every 2**13 words on the average: 64 KiB."""
_WINDOW = 8
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_PART = 1 << 23
"""Words that are looked at in one go: numpy needs three times as many bytes."""


def chunks(data: bytes) -> Iterator[bytes]:
    """The bytes, cut; together they are what was given."""
    cuts = _candidates(data)
    start = 0
    while start < len(data):
        at = int(np.searchsorted(cuts, start + SMALLEST))
        end = int(cuts[at]) if at < len(cuts) else len(data)
        end = min(end, start + LARGEST, len(data))
        yield data[start:end]
        start = end


def _candidates(data: bytes) -> npt.NDArray[np.int64]:
    """Where a chunk may end, ascending."""
    words = np.frombuffer(data, np.uint64, len(data) // 8)
    found = [np.empty(0, np.int64)]
    for first in range(0, len(words), _PART):
        before = min(first, _WINDOW - 1)
        hashes = _hashes(words[first - before : first + _PART])[before:]
        found.append(first + np.flatnonzero(hashes == 0))
    return (np.concatenate(found) + 1) * 8


def _hashes(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The first bits of a hash of each word and those before it; the first words have fewer before them."""
    mixed = words * _FACTOR
    mixed ^= mixed >> np.uint64(29)
    total = mixed.copy()
    for back in range(1, _WINDOW):
        total[back:] += mixed[:-back] * np.uint64(2 * back + 1)
    return (total * _FACTOR) >> np.uint64(64 - _BITS)
