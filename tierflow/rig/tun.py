"""The userspace emulator: one TUN device in each namespace, and a `Network` of shaped lines between them."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tierflow.rig.network import Network
from tierflow.rig.shaping import Line, LineCounters, Shape

__all__ = ["DEVICE", "TunLinks", "attach"]

DEVICE = "tf0"
"""The name of the device inside every namespace."""
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_LARGEST_PACKET = 65535
_BATCH = 64  # packets read from one device before the clock is looked at again


def attach(namespaces: Sequence[str]) -> list[int]:
    """Open the TUN device in each namespace (a path) and return to the caller's own namespace.

    Raises:
        OSError: a namespace or its device is gone, or this process may not open it.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def move(descriptor: int) -> None:
        if libc.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    devices = []
    try:
        for path in namespaces:
            there = os.open(path, os.O_RDONLY)
            try:
                move(there)
            finally:
                os.close(there)
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
            devices.append(device)
    finally:
        move(home)
        os.close(home)
    return devices


class TunLinks:
    """The links of a rig, emulated: what `emulator.Links` asks for, over TUN devices.

    `config` is what `Rig.up` wrote: nodes with address and namespace, links with their shapes, and the path of each
    pair of nodes as link numbers.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        nodes, links = config["nodes"], config["links"]
        self._network: Network[tuple[int, bytes]] = Network(
            [Line(Shape(**link["shape"]), link["name"]) for link in links]
        )
        numbers = {node["name"]: number for number, node in enumerate(nodes)}
        address = {node["name"]: bytes(map(int, node["address"].split("."))) for node in nodes}
        self._routes: list[dict[bytes, tuple[int, tuple[int, ...]]]] = [{} for _ in nodes]
        for source, target, path in config["paths"]:
            self._routes[numbers[source]][address[target]] = (numbers[target], tuple(path))
        self._devices = attach([node["namespace"] for node in nodes])

    def watch(self, clock: Callable[[], float]) -> dict[int, Callable[[], None]]:
        """File descriptors to wait for, each with what to do when it is readable."""
        return {device: self._reader(number, device, clock) for number, device in enumerate(self._devices)}

    def next_event(self) -> float:
        """When `run` next has something to do."""
        return self._network.next_event()

    def run(self, now: float) -> None:
        """Deliver every packet that has arrived by `now`."""
        devices = self._devices
        for number, packet in self._network.run(now):
            try:
                os.write(devices[number], packet)
            except OSError:
                continue  # the device is down or its namespace is being removed: nobody is there to receive

    def shape(self, link: int) -> Shape:
        """How link number `link` shapes packets now."""
        return self._network.lines[link].shape

    def is_up(self, link: int) -> bool:
        """Whether the link carries packets."""
        return self._network.lines[link].up

    def reshape(self, link: int, shape: Shape, now: float) -> None:
        """Shape packets so from `now` on."""
        self.run(now)
        self._network.lines[link].reshape(shape, now)
        self._network.schedule(link)

    def cut(self, link: int, now: float) -> None:
        """Drop what is in the link and carry nothing."""
        self.run(now)
        self._network.lines[link].cut()

    def heal(self, link: int) -> None:
        """Carry packets again."""
        self._network.lines[link].heal()

    def counters(self) -> list[LineCounters]:
        """What each link carried and dropped."""
        return [line.counters for line in self._network.lines]

    def _reader(self, number: int, device: int, clock: Callable[[], float]) -> Callable[[], None]:
        routes, send = self._routes[number], self._network.send

        def read() -> None:
            now = clock()
            for _ in range(_BATCH):
                try:
                    packet = os.read(device, _LARGEST_PACKET)
                except BlockingIOError:
                    return
                # Only IPv4 to a node is carried: destinations stand in bytes 16 to 19 of its header.
                route = routes.get(packet[16:20])
                if route is not None and packet[0] >> 4 == 4:
                    send((route[0], packet), len(packet), route[1], now)

        return read
