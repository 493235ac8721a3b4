"""What goes wrong inside a gateway, in its log: each kind now and then, however often clients run into it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tierflow.errors import OutboxFull, TierflowError

__all__ = ["EVERY", "Trouble"]

log = logging.getLogger("tierflow.gateway")

EVERY = 60.0
"""Seconds in which errors of one kind are logged once."""


class Trouble:
    """The log of errors that are no client's doing. `now` gives seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._guard = now, threading.Lock()
        self._kinds: dict[type[Exception], tuple[float, int]] = {}

    def note(self, error: Exception) -> None:
        """Log it, unless one of its kind was logged in the last minute: then it is counted for the next time.

        An outbox at its limit is a warning, as that is what the limit is for. What nobody foresaw comes with its trace.
        """
        with self._guard:
            now = self._now()
            until, before = self._kinds.get(type(error), (now, 0))
            if now < until:
                self._kinds[type(error)] = until, before + 1
                return
            self._kinds[type(error)] = now + EVERY, 0
        more = f" (and {before} times since this was last said)" if before else ""
        foreseen = isinstance(error, TierflowError)
        level = logging.WARNING if isinstance(error, OutboxFull) and error.limit else logging.ERROR
        log.log(level, "a request failed: %s%s", error, more, exc_info=None if foreseen else error)
