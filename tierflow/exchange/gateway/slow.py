"""HTTP connections that keep a place for nothing are closed: uvicorn waits for headers, and for readers, for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["patient"]

LOOK = 1.0
EACH = 32
"""Connections of one address at the most."""


def patient(patience: float, each: int = EACH) -> type[H11Protocol]:
    """Uvicorn's protocol for connections that may be without a request, or stand still, for `patience` seconds."""
    held: Counter[str] = Counter()

    class Patient(H11Protocol):
        _address = ""
        _still = 0.0
        _cycle: object = None
        _waiting = 0
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast("asyncio.Transport", transport))
            self._address = str(self.client[0]) if self.client else ""
            held[self._address] += 1
            if held[self._address] > each:
                self.transport.abort()
            self._timer = self.loop.call_later(LOOK, self._look)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            held[self._address] -= 1
            if not held[self._address]:
                del held[self._address]
            super().connection_lost(exc)

        def _look(self) -> None:
            """Whether it answered since the last look, and its reader takes the answer; if not for long, close it."""
            answering = self.cycle is not self._cycle or (self.cycle is not None and not self.cycle.response_complete)
            self._cycle = self.cycle
            waiting = self.transport.get_write_buffer_size()
            moves = waiting != self._waiting if waiting else answering
            self._waiting = waiting
            self._still = 0.0 if moves else self._still + LOOK
            if self._still >= patience:
                self.transport.abort()
                return
            self._timer = self.loop.call_later(min(LOOK, patience), self._look)

    return Patient
