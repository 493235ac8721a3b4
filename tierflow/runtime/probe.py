"""Active probes of the path between two nodes: the round trip, and the rate of Arrow data.

They are made when a node joins and rarely after: everything else is learned from the transfers that calls make anyway.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING

from tierflow.cost.transfer import FIRST_WINDOW, rate_of
from tierflow.topology.column import Source, Value

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FIRST_SIZE", "LAST_SIZE", "Send", "batch", "rate", "round_trip"]

Send = Callable[[int], tuple[int, float]]
"""Carries so many bytes over a path; how many arrived, and in how many seconds."""

FIRST_SIZE, LAST_SIZE = 64 * 1024, 4 * 1024 * 1024
"""Bytes of the first and of the largest payload that a probe sends; each is twice the one before."""
CLEAR = 3.0
"""How many times as long as the rest of a transfer its bytes must take to tell a rate."""
DOUBT = 0.1
"""The deviation of a probed rate as a share of it: on the rig's links it was off by 11 % at the most."""


def round_trip(address: str, port: int, times: int = 3, patience: float = 3.0) -> float | None:
    """The least time (s) of `times` TCP connections to a port that a peer listens on; None where none is made.

    A connection is made when the peer's kernel has answered (SYN, SYN-ACK): one round trip of the network in which no
    process of the peer takes part. The port of its raylet will do (``NodeManagerPort`` of ``ray.nodes()``): the
    connection is closed again before a byte is sent, so there is nothing to authenticate and nothing of ours listens.

    Args:
        address: of the peer, as it is known in its fabric.
        port: one that it listens on.
        times: connections, one after the other.
        patience: seconds that each may take.
    """
    found: list[float] = []
    for _ in range(times):
        with suppress(OSError), socket.socket(_family(address)) as sock:
            sock.settimeout(patience)
            began = perf_counter()
            sock.connect((address, port))
            found.append(perf_counter() - began)
    return min(found, default=None)


def batch(size: int) -> pa.RecordBatch:
    """A record batch of one column with `size` random bytes, which no codec on the way makes smaller."""
    import pyarrow as pa

    return pa.record_batch({"bytes": pa.Array.from_buffers(pa.uint8(), size, [None, pa.py_buffer(os.urandom(size))])})


def rate(send: Send, round_trip: float) -> Value | None:
    """The rate (bytes per second) of the path that `send` sends a payload over.

    Sizes double until a transfer is long enough to tell the rate from the wait for acknowledgements, and from what a
    transfer costs besides its bytes: the question where the object is, the delay, the turns of a weak node's scheduler.
    That cost is learned from payloads of a byte and taken off; it varies, so the rest must be `CLEAR` times as long.
    Each size finds the window open that the one before it needed. The better of two transfers tells.

    Args:
        send: carries a payload over the path.
        round_trip: of the path, in seconds.

    Returns:
        None where the path is so fast that even `LAST_SIZE` tells nothing.
    """
    send(1)  # opens connections
    fixed = min(send(1)[1] for _ in range(2))
    size, window = FIRST_SIZE, FIRST_WINDOW
    while size <= LAST_SIZE:
        arrived, seconds = send(size)
        window += arrived
        if seconds - fixed >= CLEAR * fixed:
            seconds = min(seconds, send(size)[1])
            found = rate_of(arrived, seconds - fixed, round_trip, window) if seconds > fixed else None
            if found is not None:
                return Value(found, DOUBT * found, Source.MEASURED)
        size *= 2
    return None


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
