"""How soon TCP tries again on a link that was cut: what decides when the first call after the heal comes through.

Linux doubles the wait before each retransmission, up to 120 s, so that a connection that was cut for a minute may be
dead for another. With `tcp_rto_max_ms` (since Linux 6.15) it is a second at the most. Then a connection may outlast
the cut: what was sent arrives after it, and no call has to wait for gRPC to connect anew. See `settings.PATIENT` for
the other half, and https://docs.kernel.org/networking/ip-sysctl.html.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["ADVICE", "is_tuned", "kernel_can", "tune"]

FOLDER = Path("/proc/sys/net/ipv4")
WANTED = {"tcp_rto_max_ms": 1000, "tcp_syn_retries": 127}
"""Milliseconds between two retransmissions at the most; how often a connection is tried before it is given up."""
ADVICE = "sysctl -w " + " ".join(f"net.ipv4.{name}={value}" for name, value in WANTED.items())
"""What makes it so on a real machine, where all its connections change with it."""


def tune() -> None:
    """Make it so in this network namespace.

    Raises:
        OSError: this process may not, or the kernel has no such setting.
    """
    for name, value in WANTED.items():
        (FOLDER / name).write_text(str(value))


def kernel_can() -> bool:
    """Whether this machine's kernel has what it takes."""
    return all((FOLDER / name).exists() for name in WANTED)


def is_tuned() -> bool:
    """Whether it is so in this network namespace."""
    try:
        now = {name: int((FOLDER / name).read_text()) for name in WANTED}
    except (OSError, ValueError):
        return False
    return now["tcp_rto_max_ms"] <= WANTED["tcp_rto_max_ms"] and now["tcp_syn_retries"] >= WANTED["tcp_syn_retries"]
