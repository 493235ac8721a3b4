"""What leaves a full outbox."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

__all__ = ["POLICIES", "WhenFull", "victims"]

WhenFull = Literal["oldest", "lowest priority", "sampled down", "refuse"]
POLICIES: tuple[WhenFull, ...] = get_args(WhenFull)


def victims(
    when_full: WhenFull, waiting: Iterable[tuple[int, int, int]], need: int, spare: int, priority: int
) -> tuple[int, ...] | None:
    """The sequence numbers to drop so that `need` bytes (more than 0) come free; None refuses the new record.

    `waiting` is (sequence number, priority, bytes) of each record that waits, oldest first; `priority` that of the new.
    Where all of them have to be looked at, `spare` bytes more go where they can, so that the next put need not look.

    - "oldest": the oldest go.
    - "lowest priority": the lowest go, among equals the oldest, and none that is more urgent than the new record.
    - "sampled down": of the oldest half every second one goes, again and again; the newest goes last.
    - "refuse": none goes.
    """
    order: Iterable[tuple[int, int, int]]
    match when_full:
        case "refuse":
            return None
        case "oldest":
            order, spare = waiting, 0
        case "lowest priority":
            order = sorted((row for row in waiting if row[1] <= priority), key=lambda row: (row[1], row[0]))
        case "sampled down":
            order = _thinned(list(waiting))
    chosen, free = [], 0
    for seq, _, size in order:
        if free >= need + spare:
            break
        chosen.append(seq)
        free += size
    return tuple(chosen) if free >= need else None


def _thinned(waiting: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """In the order in which they go; a history that is thinned many times is the thinner the older it is."""
    left, order = waiting, []
    while left:
        half = max(len(left) // 2, 1)
        order += left[:half:2]
        left = left[1:half:2] + left[half:]
    return order
