"""HTTP connections are bounded from when they are accepted, and one that keeps a place for nothing is closed.

Uvicorn knows of a connection only once its TLS handshake is over, and waits for headers, and for readers, for ever.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Door", "Loop", "patient"]

LOOK = 1.0
EACH = 32
"""Connections of one address at the most."""


class Door(socket.socket):
    """A socket that listens, of whose connections no more than `most` are open at once, and `each` of one address."""

    def __init__(self, listening: socket.socket, most: int, each: int = EACH) -> None:
        super().__init__(fileno=listening.detach())
        self._most, self._each = most, each
        self._open: list[tuple[socket.socket, str]] = []

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises `ConnectionAbortedError`, which asyncio passes over, where it is one too many."""
        made, address = super().accept()
        self._open = [(link, whose) for link, whose in self._open if link.fileno() >= 0]
        if len(self._open) >= self._most or [whose for _, whose in self._open].count(address[0]) >= self._each:
            made.close()
            raise ConnectionAbortedError
        self._open.append((made, address[0]))
        return made, address


class Loop(asyncio.SelectorEventLoop):
    """Asyncio's event loop, whose servers give a TLS handshake `patience` seconds."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self._patience = patience

    async def create_server(self, *args: Any, **more: Any) -> asyncio.Server:
        """See asyncio."""
        if more.get("ssl"):
            more["ssl_handshake_timeout"] = self._patience
        return await super().create_server(*args, **more)


def patient(patience: float) -> type[H11Protocol]:
    """Uvicorn's protocol for connections that may be without a request, or stand still, for `patience` seconds."""

    class Patient(H11Protocol):
        _still = 0.0
        _cycle: object = None
        _waiting = 0
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast("asyncio.Transport", transport))
            self._timer = self.loop.call_later(LOOK, self._look)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
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
