"""Giving a device a netem queue: one netlink message, as the kernel's `tc_modify_qdisc` and `netem_change` read it.

Written out because pyroute2 0.9 takes a netem rate for an attribute of the message and cannot send it.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

__all__ = ["ROOT", "Netem", "put"]

ROOT = 0xFFFFFFFF
"""The parent of a device's own queue."""
_RTM_NEWQDISC = 36
_REQUEST, _ACK, _REPLACE, _CREATE = 0x1, 0x4, 0x100, 0x400
_TCA_KIND, _TCA_OPTIONS = 1, 2
_RATE, _LATENCY64, _JITTER64 = 6, 10, 11


@dataclass(frozen=True, slots=True)
class Netem:
    """What netem is told.

    `delay` and `jitter` in nanoseconds: a packet takes between `delay - jitter` and `delay + jitter`; `loss` 0 to 1;
    `limit` in packets; `rate` in bytes per second of packets to which `overhead` bytes are added.
    """

    delay: int
    jitter: int
    loss: float
    limit: int
    rate: int
    overhead: int


def put(index: int, handle: int, netem: Netem) -> None:
    """Give device number `index` of the calling thread's namespace a netem queue.

    One of another handle is replaced at once, with what is in it; of the same handle changed, and what is in it stays.

    Raises:
        OSError: there is no such device, or the kernel has no netem.
    """
    flags = _REQUEST | _ACK | _CREATE | _REPLACE
    body = struct.pack("BxxxiIII", socket.AF_UNSPEC, index, handle, ROOT, 0)
    body += _attribute(_TCA_KIND, b"netem\0") + _attribute(_TCA_OPTIONS, _options(netem))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as route:
        route.bind((0, 0))
        route.send(struct.pack("IHHII", 16 + len(body), _RTM_NEWQDISC, flags, 1, 0) + body)
        (negative,) = struct.unpack_from("i", route.recv(1 << 16), 16)
    if negative:
        raise OSError(-negative, os.strerror(-negative))


def _options(netem: Netem) -> bytes:
    loss = round(netem.loss * 0xFFFFFFFF)
    return (
        struct.pack("IIIIII", 0, netem.limit, loss, 0, 0, 0)  # times follow, in 64 bits
        + _attribute(_RATE, struct.pack("IiIi", netem.rate, netem.overhead, 0, 0))
        + _attribute(_LATENCY64, struct.pack("q", netem.delay))
        + _attribute(_JITTER64, struct.pack("q", netem.jitter))
    )


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
