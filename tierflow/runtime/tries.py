"""Calls that are on their way, how they are made again, and which try of each is the one that counts."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import ray

from tierflow.errors import TierflowError
from tierflow.runtime.latest import Latest
from tierflow.runtime.placing import Placing

__all__ = ["OVERDUE", "Sent", "Tries"]

OVERDUE, SLOWER = 3.0, 10.0
"""Seconds, and times what was predicted, after which a call is taken to hang."""
REMEMBERED = 4096
"""Calls that can be made again, and calls that were, each the latest."""


class Sent(NamedTuple):
    """A call that was submitted: its node, its name, how to submit it again, when that was, and when it hangs.

    `patience` are the seconds after which it does; None goes by what was predicted for it.
    """

    node: str = ""
    name: str = "a call"
    again: Callable[[], Any] | None = None
    since: float = 0.0
    patience: float | None = None


class Tries:
    """The calls of this process; `placing` knows what was predicted for them, and which have ended."""

    def __init__(self, placing: Placing) -> None:
        self._placing = placing
        self._sent = Latest[Sent](REMEMBERED)
        self._instead = Latest[Any](REMEMBERED)
        self._making: set[bytes] = set()
        self._lock = threading.Lock()

    def submitted(
        self, ref: Any, node: str, name: str, again: Callable[[], Any] | None, patience: float | None = None
    ) -> None:
        """Take note of a call to a node; `again` submits it once more, where that may be done."""
        self._sent.keep(ref.binary(), Sent(node, name, again, time.monotonic(), patience))

    def ended(self, key: bytes) -> None:
        """Take note that a call has ended: what it was given need not be kept for it any more."""
        self._sent.pop(key, None)

    def sent(self, ref: Any) -> Sent | None:
        """What is known of a call; None of one that has ended, or was not made here."""
        with suppress(KeyError):
            self._sent.move_to_end(ref.binary())
        return self._sent.get(ref.binary())

    def latest(self, of: Any) -> Any:
        """The reference that counts of a call that was made again: to the try that ended well first, or to the newest.

        What is no reference, or was not made again, is as it is.
        """
        tries = [of]
        while isinstance(tries[-1], ray.ObjectRef) and (other := self._instead.get(tries[-1].binary())) is not None:
            tries.append(other)
        if len(tries) == 1:
            return of
        return min(reversed(tries), key=lambda ref: self._placing.succeeded(ref.binary()))

    def replaced(self, ref: Any, other: Any) -> None:
        """Take note that a call was made again, and gave another reference."""
        self._instead.keep(ref.binary(), other)

    def again(self, ref: Any) -> None:
        """Submit a call again; of two that want to, one does. Raises what that raises."""
        key = ref.binary()
        with self._lock:
            sent = self._sent.get(key)
            if sent is None or sent.again is None or key in self._instead or key in self._making:
                return
            self._making.add(key)
        try:
            self.replaced(ref, sent.again())  # it may wait for its inputs
        finally:
            self._making.discard(key)

    def hangs(self, ref: Any, since: float) -> bool:
        """Whether a call takes much longer than it should, after `since` (monotonic seconds), and can be made again."""
        sent = self._sent.get(ref.binary())
        if sent is None or sent.again is None or ref.binary() in self._instead:
            return False
        return time.monotonic() >= max(sent.since, since) + self._patience(ref)

    def hurry(self, ref: Any) -> None:
        """Submit a call that hangs again. It may just be slow: twice the time for the next try, or for this one."""
        patience = 2.0 * self._patience(ref)
        with suppress(TierflowError):
            self.again(ref)
        late = self._instead.get(ref.binary(), ref)
        if (sent := self._sent.get(late.binary())) is not None:
            self._sent[late.binary()] = sent._replace(patience=max(patience, self._patience(late)))

    def _patience(self, ref: Any) -> float:
        key = ref.binary()
        sent = self._sent.get(key)
        if sent is None:
            return math.inf
        return OVERDUE + SLOWER * self._placing.usual(key) if sent.patience is None else sent.patience
