"""How a large object is cut up on its way, so that a small message on the same slow link waits for little of it.

Ray sends an object in chunks (5 MiB), and a node as many at once as 2 GiB hold: over 5 Mbit/s a chunk takes 8 s. All
nodes of a fabric must cut alike; how much a node has on its way at once is its own.
"""

from __future__ import annotations

import math

from tierflow.topology import Topology

__all__ = ["chunk_size", "window"]

OCCUPY = 0.1
"""Seconds for which one chunk may occupy the slowest link."""
LEAST, MOST = 1 << 15, 5 << 20
"""Bytes of a chunk; the most is Ray's own."""
TURN = 0.12
"""Seconds from the arrival of a chunk until another one leaves in its place, beside the way there and back. Measured:
at 5 Mbit/s, windows of 2 to 4 chunks of 64 KiB."""


def chunk_size(topology: Topology) -> int | None:
    """Bytes of a chunk, a power of two, by the slowest link that is declared; None where Ray's own is as good."""
    slowest = min((link.rate for link in topology.links), default=math.inf)
    if slowest * OCCUPY >= MOST:
        return None
    return max(LEAST, 1 << int(math.log2(slowest * OCCUPY)))


def window(topology: Topology, node: str, chunk: int) -> int | None:
    """Bytes of objects that a node may have on its way at once: what fills its best way to another site, and no more.

    None where no way to another site is declared. What is on its way beyond that would only wait in the link's queue,
    and with it every small message.
    """
    site = next((each.site for each in topology.nodes if each.name == node), None)
    best = 0.0
    for other in topology.nodes:
        path = topology.path(node, other.name) if other.site != site and site is not None else None
        links = [topology.links[index] for index in path or ()]
        rate = min((link.rate for link in links), default=math.inf)
        if rate < math.inf:
            best = max(best, rate * (2 * sum(link.delay for link in links) + TURN) + chunk)
    return math.ceil(best / chunk) * chunk if best else None
