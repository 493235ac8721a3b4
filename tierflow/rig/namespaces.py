"""Network namespaces with a name under /run/netns, as `ip netns` keeps them, and the device inside each."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tierflow.rig.tun import DEVICE

__all__ = [
    "ETHERNET_HEADER",
    "FOLDER",
    "InterfaceCounters",
    "create",
    "inside",
    "interface_counters",
    "make_tun",
    "names",
    "netlink",
    "remove",
    "route",
]

FOLDER = Path("/run/netns")
"""Where namespaces have their names."""
ETHERNET_HEADER = 14
"""Bytes that the kernel counts at a veth besides the IP packet."""
_CLONE_NEWNET, _MS_BIND, _MS_REC, _MS_SHARED, _MNT_DETACH = 0x40000000, 4096, 16384, 1 << 20, 2

T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """What the kernel counted at a node's interface: bytes and packets sent by the node and received by it."""

    sent_bytes: int
    sent_packets: int
    received_bytes: int
    received_packets: int


def names(prefix: str) -> list[str]:
    """The namespaces whose name begins with `prefix`."""
    return sorted(path.name for path in FOLDER.glob(f"{prefix}*")) if FOLDER.is_dir() else []


def create(name: str) -> None:
    """Make a namespace with its loopback up.

    Raises:
        OSError: one of this name exists, or this process may not make one.
    """
    _share_folder()
    (FOLDER / name).touch(mode=0o444, exist_ok=False)

    def make() -> None:
        _check(_libc.unshare(_CLONE_NEWNET))
        _check(_libc.mount(b"/proc/thread-self/ns/net", bytes(FOLDER / name), b"none", _MS_BIND, None))
        # Nothing here speaks IPv6, and its neighbour discovery would wake the emulator.
        with contextlib.suppress(OSError):
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        with netlink() as socket:
            socket.link("set", index=1, state="up")

    _in_thread(make)


def remove(name: str) -> None:
    """Take a namespace's name away; it ends with its last process. One that is not there is no error."""
    path = FOLDER / name
    while _libc.umount2(bytes(path), _MNT_DETACH) == 0:
        continue  # mounted twice where a removal was interrupted
    path.unlink(missing_ok=True)


def inside(name: str, work: Callable[[], T]) -> T:
    """Do `work` in a thread of its own inside the namespace; the caller's thread never leaves its own."""

    def enter() -> T:
        descriptor = os.open(FOLDER / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(descriptor, _CLONE_NEWNET))
        finally:
            os.close(descriptor)
        return work()

    return _in_thread(enter)


def make_tun(name: str, address: str, mtu: int) -> None:
    """Make the device of a node: a TUN that outlives who made it, with the node's address."""

    def make() -> None:
        with netlink() as socket:
            socket.link("add", ifname=DEVICE, kind="tuntap", mode="tun")
            (index,) = socket.link_lookup(ifname=DEVICE)
            socket.addr("add", index=index, address=address, prefixlen=16)
            socket.link("set", index=index, state="up", mtu=mtu)

    inside(name, make)


def route(name: str, mtus: Mapping[str, int]) -> None:
    """Let packets to each address be at most as large as given, headers included."""

    def add() -> None:
        with netlink() as socket:
            (index,) = socket.link_lookup(ifname=DEVICE)
            for address, mtu in mtus.items():
                socket.route("add", dst=f"{address}/32", oif=index, scope="link", metrics={"mtu": mtu})

    inside(name, add)


def interface_counters(name: str) -> InterfaceCounters:
    """What went through the devices of a namespace but its loopback; bytes are of IP packets."""

    def read() -> InterfaceCounters:
        sent_bytes = sent = received_bytes = received = 0
        with netlink() as socket:
            for link in socket.get_links():
                if link.get_attr("IFLA_IFNAME") == "lo":
                    continue
                stats, header = link.get_attr("IFLA_STATS64"), _header(link)
                sent, received = sent + stats["tx_packets"], received + stats["rx_packets"]
                sent_bytes += stats["tx_bytes"] - header * stats["tx_packets"]
                received_bytes += stats["rx_bytes"] - header * stats["rx_packets"]
        return InterfaceCounters(sent_bytes, sent, received_bytes, received)

    return inside(name, read)


def netlink() -> Any:
    """A netlink socket of the calling thread's namespace, for a `with` block."""
    # Imported here because other systems have no netlink, and because it takes 0.15 s.
    from pyroute2 import IPRoute

    return IPRoute()


def _header(link: Any) -> int:
    return 0 if link.get_attr("IFLA_IFNAME") == DEVICE else ETHERNET_HEADER


def _in_thread(work: Callable[[], T]) -> T:
    """Leaving the pool waits for the thread also when the caller is interrupted: nothing is made behind its back."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _share_folder() -> None:
    """Make /run/netns a shared mount, so that every mount namespace of the machine sees the names in it."""
    FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    if _libc.mount(b"", bytes(FOLDER), b"none", _MS_SHARED | _MS_REC, None):
        _check(_libc.mount(bytes(FOLDER), bytes(FOLDER), b"none", _MS_BIND | _MS_REC, None))
        _check(_libc.mount(b"", bytes(FOLDER), b"none", _MS_SHARED | _MS_REC, None))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
