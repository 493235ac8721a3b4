"""How long a call waits for a core of a node that has work."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IDLE", "Queue", "wait"]


@dataclass(frozen=True, slots=True)
class Queue:
    """What is on its way to a node or runs there: how many calls, and seconds of one core that they still need."""

    calls: int = 0
    work: float = 0.0

    def joined(self, seconds: float, calls: int = 1) -> Queue:
        """This queue with `calls` more, that need `seconds` each."""
        return Queue(self.calls + calls, self.work + seconds * calls)

    def left(self, seconds: float, calls: int = 1) -> Queue:
        """This queue without `calls` that were counted with `seconds` each."""
        if self.calls <= calls:
            return IDLE
        return Queue(self.calls - calls, max(self.work - seconds * calls, 0.0))


IDLE = Queue()


def wait(queue: Queue, slots: float) -> float:
    """Seconds until one of `slots` (how many such calls the node runs at once) is free for a new call.

    What an M/M/c queue says once its state is known: a slot falls free every mean time / c seconds, and all calls
    ahead but c - 1 must have ended.
    """
    slots = max(slots, 1.0)
    ahead = queue.calls - slots + 1.0
    return 0.0 if ahead <= 0 or queue.calls == 0 else ahead / slots * queue.work / queue.calls
