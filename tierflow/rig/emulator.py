"""The process that carries a rig's packets and answers on its control socket. Standard library only.

Run as `bare.py emulator STATE` by `Rig.up`. It ends when it is told to stop, and removes its socket.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from tierflow.errors import RigError
from tierflow.rig.control import CONFIG, listen
from tierflow.rig.shaping import LineCounters, Shape
from tierflow.rig.targets import resolve
from tierflow.rig.trace import TraceRow
from tierflow.rig.tun import TunLinks

__all__ = ["Emulator", "Links"]

_LONGEST_REQUEST = 16 << 20
_ABOVE_OTHERS = -15  # nice: a late emulator would show as a slower link


class Links(Protocol):
    """What emulates the links of a rig; links are known by number. Times are of the monotonic clock."""

    def watch(self, clock: Callable[[], float]) -> dict[int, Callable[[], None]]:
        """File descriptors to wait for, each with what to do when it is readable."""

    def next_event(self) -> float:
        """When `run` next has something to do."""

    def run(self, now: float) -> None:
        """Do what is due."""

    def shape(self, link: int) -> Shape:
        """How the link shapes packets now."""

    def is_up(self, link: int) -> bool:
        """Whether the link carries packets."""

    def reshape(self, link: int, shape: Shape, now: float) -> None:
        """Shape packets so from now on."""

    def cut(self, link: int, now: float) -> None:
        """Carry nothing."""

    def heal(self, link: int) -> None:
        """Carry packets again."""

    def counters(self) -> list[LineCounters]:
        """What each link carried and dropped."""


class Emulator:
    """Carries packets, replays traces and answers requests, in one loop that sleeps when there is nothing to do."""

    def __init__(self, config: Mapping[str, Any], links: Links, server: socket.socket) -> None:
        self._config = config
        self._links = links
        self._names: list[str] = [link["name"] for link in config["links"]]
        self._server = server
        self._clients: dict[int, tuple[socket.socket, bytearray]] = {}
        self._replays: list[tuple[float, int, int, int, TraceRow]] = []
        self._replaying: dict[int, int] = {}
        self._replay_count = 0
        self._stopping = False

    def serve(self) -> None:
        """Run until told to stop."""
        clock, links = time.monotonic, self._links
        readers = links.watch(clock)
        devices = [*readers, self._server.fileno()]
        while not self._stopping:
            wait = min(links.next_event(), self._replays[0][0] if self._replays else float("inf")) - clock()
            timeout = None if wait == float("inf") else max(wait, 0.0)
            ready, _, _ = select.select([*devices, *self._clients], [], [], timeout)
            links.run(clock())
            for descriptor in ready:
                if (reader := readers.get(descriptor)) is not None:
                    reader()
                elif descriptor in self._clients:
                    self._hear(descriptor)
                else:
                    self._accept()
            self._replay(clock())

    def answer(self, request: Mapping[str, Any], now: float) -> object:
        """Do what a request asks and say what came of it.

        Raises:
            ValueError: the request cannot be done; its text says why and what would.
        """
        match request:
            case {"do": "set", "target": str(target), "change": dict(change)}:
                row = TraceRow(0.0, **change)
                for link in self._find(target):
                    self._reshape(link, row, now)
            case {"do": "cut", "target": str(target)}:
                for link in self._find(target):
                    self._links.cut(link, now)
            case {"do": "heal", "target": str(target)}:
                for link in self._find(target):
                    self._links.heal(link)
            case {"do": "replay", "target": str(target), "trace": list(trace)}:
                rows = [TraceRow(**row) for row in trace]
                for link in self._find(target):
                    self._begin(link, rows, now)
            case {"do": "counters"}:
                return {name: asdict(row) for name, row in zip(self._names, self._links.counters(), strict=True)}
            case {"do": "links"}:
                return {name: self._describe(link) for link, name in enumerate(self._names)}
            case {"do": "stop"}:
                self._stopping = True
            case {"do": "ping"}:
                return {"pid": os.getpid()}
            case _:
                raise ValueError(f"the request {str(request)[:200]} is none that the rig knows")
        return None

    def _find(self, target: str) -> list[int]:
        return resolve(target, self._config)

    def _describe(self, link: int) -> dict[str, Any]:
        shape = asdict(self._links.shape(link))
        if shape["rate"] == float("inf"):
            shape["rate"] = None
        return {**shape, "up": self._links.is_up(link)}

    def _reshape(self, link: int, row: TraceRow, now: float) -> None:
        self._links.reshape(link, replace(self._links.shape(link), **row.change()), now)

    def _begin(self, link: int, trace: list[TraceRow], now: float) -> None:
        """Replay `trace` on the link, in place of one that it replays already."""
        self._replay_count += 1
        self._replaying[link] = self._replay_count
        for order, row in enumerate(trace):
            heapq.heappush(self._replays, (now + row.time, self._replay_count, order, link, row))
        self._replay(now)

    def _replay(self, now: float) -> None:
        while self._replays and self._replays[0][0] <= now:
            _, number, _, link, row = heapq.heappop(self._replays)
            if self._replaying.get(link) == number:
                self._reshape(link, row, now)

    def _accept(self) -> None:
        client, _ = self._server.accept()
        client.setblocking(False)
        self._clients[client.fileno()] = (client, bytearray())

    def _hear(self, descriptor: int) -> None:
        client, heard = self._clients[descriptor]
        try:
            data = client.recv(1 << 16)
            heard += data
            *lines, rest = heard.split(b"\n")
            heard[:] = rest
            for line in lines:
                client.sendall(self._reply(bytes(line)))
        except OSError:  # gone, or it does not read its answers
            data = b""
        if not data or len(heard) > _LONGEST_REQUEST:
            del self._clients[descriptor]
            client.close()

    def _reply(self, line: bytes) -> bytes:
        reply: dict[str, object]
        try:
            request = json.loads(line)
            reply = {"answer": self.answer(request if isinstance(request, dict) else {}, time.monotonic())}
        except RigError as error:
            reply = {"problem": error.problem, "mend": error.mend}
        except (ValueError, TypeError, OSError) as error:
            reply = {"problem": str(error)}
        return json.dumps(reply).encode() + b"\n"


def _links(config: Mapping[str, Any]) -> Links:
    if config["emulation"] == "tun":
        return TunLinks(config)
    from tierflow.rig.netem import NetemLinks  # brings pyroute2, which the other emulator does without

    return NetemLinks(config)


def _main(state: Path) -> None:
    config = json.loads((state / CONFIG).read_text())
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _ABOVE_OTHERS)
    with listen(state) as server:
        Emulator(config, _links(config), server).serve()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
