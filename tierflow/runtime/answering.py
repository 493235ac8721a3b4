"""Whether somebody accepts connections at an address: found out in seconds, where Ray tries for minutes."""

from __future__ import annotations

import socket

__all__ = ["answers", "own_address"]


def answers(address: str, within: float) -> bool:
    """Whether something accepts connections at ``address:port``, within so many seconds."""
    try:
        own_address(address, within)
    except OSError:
        return False
    return True


def own_address(address: str, within: float) -> str:
    """This machine's address on the way to ``address:port``, where it is accepted within so many seconds.

    Raises:
        OSError: nobody accepts.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    with socket.create_connection((host, int(port)), timeout=within) as there:
        own = str(there.getsockname()[0])
    return host if own.startswith("127.") else own  # loopback answers from 127.0.0.1, whichever address was called
