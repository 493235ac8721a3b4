"""Whether something that arrives is new: the two comparisons that "exactly once" and "never back" stand on."""

from __future__ import annotations

__all__ = ["is_new", "is_newer"]


def is_new(seq: int, floor: int, mark: int | None) -> bool:
    """Whether the record `seq` of a key was not applied before.

    `mark` is the last one applied of its sender, birth and key; up to `floor` the sender has nothing left to send.
    """
    return seq > floor and (mark is None or seq > mark)


def is_newer(offered: int, held: int | None) -> bool:
    """Whether an offered version takes the place of the one that is held: versions only rise."""
    return held is None or offered > held
