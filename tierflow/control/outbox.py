"""What the sender of one outbox does next: which records go in a batch, when it tries again, when it waits.

At most one batch is on its way. Records come here in the order in which they are to go (`Waiting`). Randomness and time
are arguments: a failure brings its own jitter, from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

__all__ = [
    "Action",
    "Cut",
    "Event",
    "Failed",
    "Healed",
    "Look",
    "Renew",
    "RolledBack",
    "Row",
    "Send",
    "Sending",
    "Settle",
    "Taken",
    "Waiting",
    "step",
]

MOST = 1 << 20
"""Bytes of a batch at the most; a record that is larger goes alone."""
LEAST = 1 << 14
"""Bytes that a batch shrinks to while answers do not come in time."""
FIRST, LONGEST = 0.2, 5.0
"""Seconds between two tries: after the first failure, and at the most."""
PATIENCE, SLOWEST = 30.0, 10_000.0
"""An answer may take this many seconds, and the time that the batch takes at so many bytes per second."""


@dataclass(frozen=True, slots=True)
class Row:
    """A record that waits, without its value: sequence number, key, priority, bytes."""

    seq: int
    key: str
    priority: int
    size: int


@dataclass(frozen=True, slots=True)
class Sending:
    """The state: the batch on its way, failures in a row, the time before which nothing is tried, bytes of a batch."""

    flight: tuple[int, ...] = ()
    failures: int = 0
    until: float = 0.0
    most: int = MOST
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits, in the order in which it is to go (not necessarily all of it)."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Taken:
    """The receiver has applied the batch, or had applied it before."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The receiver knows later records of this birth than the store itself: the store was put back in time."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The batch did not arrive as far as is known; `late`: because no answer came in time. `jitter` is from 0 to 1."""

    jitter: float
    late: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """The receiver cannot be reached: nothing is tried until `Healed`."""


@dataclass(frozen=True, slots=True)
class Healed:
    """The receiver can be reached again."""


Event = Waiting | Taken | RolledBack | Failed | Cut | Healed


@dataclass(frozen=True, slots=True)
class Send:
    """Send these records and wait for so many seconds."""

    seqs: tuple[int, ...]
    patience: float


@dataclass(frozen=True, slots=True)
class Settle:
    """Delete these records: they are applied."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Give the store a new birth id, under which what waits is new to the receiver."""


@dataclass(frozen=True, slots=True)
class Look:
    """Look at what waits, at this time and not before."""

    at: float


Action = Send | Settle | Renew | Look


def step(state: Sending, event: Event, now: float) -> tuple[Sending, tuple[Action, ...]]:
    """The state after the event, and what is to be done, in order."""
    match event:
        case Waiting(rows):
            if state.flight or state.cut or now < state.until or not rows:
                return state, ()
            batch = _batch(rows, state.most)
            patience = PATIENCE + sum(row.size for row in batch) / SLOWEST
            seqs = tuple(row.seq for row in batch)
            return replace(state, flight=seqs), (Send(seqs, patience),)
        case Taken():
            after = replace(state, flight=(), failures=0, until=now, most=min(2 * state.most, MOST))
            return after, (Settle(state.flight), Look(now))
        case RolledBack():
            return replace(state, flight=()), (Renew(), Look(now))
        case Failed(jitter, late):
            until = now + delay(state.failures, jitter)
            most = max(state.most // 2, LEAST) if late else state.most
            return replace(state, flight=(), failures=state.failures + 1, until=until, most=most), (Look(until),)
        case Cut():
            return replace(state, cut=True), ()
        case Healed():
            return replace(state, cut=False, failures=0, until=now), (Look(now),)
        case _:
            assert_never(event)


def delay(failures: int, jitter: float) -> float:
    """Seconds to wait after so many failures in a row: doubled each time, half of it by chance."""
    return float(min(FIRST * 2.0 ** min(failures, 16), LONGEST) * (0.5 + jitter / 2))


def _batch(rows: Sequence[Row], most: int) -> list[Row]:
    """As many from the front as fit; the first in any case."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and size + row.size > most:
            break
        batch.append(row)
        size += row.size
    return batch
