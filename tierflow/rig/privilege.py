"""Whether this process may make a rig."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tierflow.rig.cgroups import detect

__all__ = ["missing_privilege"]

_NEEDED = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


def missing_privilege() -> str | None:
    """What this process lacks to make hosts with their own networks, in words; None where it lacks nothing."""
    if sys.platform != "linux":
        return f"network namespaces, which {sys.platform} does not have"
    lacks = [name for name, bit in _NEEDED.items() if not _effective() >> bit & 1]
    if lacks:
        return f"the {'capability' if len(lacks) == 1 else 'capabilities'} {' and '.join(lacks)} (root has them)"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"the device /dev/net/tun ({error.strerror}; load it with: modprobe tun)"
    if not os.access("/run", os.W_OK):
        return "the right to write to /run"
    if detect() is None:
        return "a cgroup hierarchy that it may write to"
    return None


def _effective() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
