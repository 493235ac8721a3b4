"""The heartbeat of a node: carries out what `control.liveness` decides, over UDP, by a thread of the node's supervisor.

It runs in the supervisor and not in a Ray actor, because it must be there while the head is not, and end with the Ray
node that it stands for. Sources: SWIM (Das, Gupta, Motivala 2002) for lives that a node raises itself, link state
routing (RFC 2328) for reports by one author each.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tierflow.control import Heard, Liveness, Message, Peer, Publish, Send, Tick, View, begun, step
from tierflow.errors import FabricError
from tierflow.runtime.datagram import Seal
from tierflow.runtime.node import NodeStart
from tierflow.runtime.record import node_folder
from tierflow.runtime.settings import FABRIC, TOKEN_PATH, read_token
from tierflow.runtime.view import Reach, kept_reports, view_file, write_view

__all__ = ["PORT", "Heartbeat", "heartbeat"]

PORT = 6380
"""The UDP port of every node's heartbeat."""
TELL_AGAIN = 1.0
"""Seconds between two times that somebody is told of his life."""
FIRST = -15
"""The niceness of the thread that beats."""
DRAIN = 256
"""Datagrams that are taken before the clock is looked at again."""

log = logging.getLogger("tierflow.heartbeat")


class Heartbeat:
    """The heartbeat of the node `me`, whose fabric has its head at the address `head`. `folder` is the node's own."""

    def __init__(self, me: Peer, head: str, token: str, folder: Path, port: int = PORT) -> None:
        self._me, self._head, self._port = me, head, port
        self._seal = Seal(token, me.address)
        self._file = view_file(folder)
        self._told: dict[str, float] = {}
        self._socket = socket.socket(socket.AF_INET6 if ":" in me.address else socket.AF_INET, socket.SOCK_DGRAM)
        self._ended, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="tierflow-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin. Raises `OSError` where another process of this address has the port."""
        self._socket.bind((self._me.address, self._port))
        self._socket.setblocking(False)
        self._thread.start()

    def stop(self) -> None:
        """End it: the others take this node for cut within seconds."""
        self._waker.close()
        if self._thread.is_alive():
            self._thread.join()
        self._ended.close()
        self._socket.close()

    def _run(self) -> None:
        with suppress(OSError):  # of this thread alone, and only for root: a busy node is not a cut one
            os.setpriority(os.PRIO_PROCESS, 0, FIRST)
        kept = kept_reports(self._file)
        # Seconds since 1970 go beyond every earlier life, also where the file of it is lost.
        life = max((int(time.time()), *(report.life + 1 for report in kept if report.peer.name == self._me.name)))
        now = time.monotonic()
        state = begun(self._me, life, self._head, now, kept)
        self._write(state, state.view, now)
        while True:
            wait = max(state.wakes - time.monotonic(), 0.0)
            ready, _, _ = select.select([self._socket, self._ended], [], [], wait)
            if self._ended in ready:
                return
            events: list[Heard | Tick] = [*self._taken(state), Tick()]
            for event in events:
                now = time.monotonic()
                state, actions = step(state, event, now)
                self._do(state, actions, now)

    def _taken(self, state: Liveness) -> Sequence[Heard]:
        events = []
        for _ in range(DRAIN):
            try:
                datagram, source = self._socket.recvfrom(65535)
            except BlockingIOError:
                break
            except OSError as error:  # what an ICMP message told of something sent before
                log.debug("heartbeat: %s", error)
                continue
            message = self._seal.opened(datagram, source[0])
            if message is not None:
                events.append(Heard(source[0], message))
            elif self._seal.stale and time.monotonic() >= self._told.get(source[0], 0.0) + TELL_AGAIN:
                self._told[source[0]] = time.monotonic()
                self._send(
                    Send(source[0], Message(state.digest, reports=tuple(state.reports.values()), beat=False)), state
                )
        return events

    def _do(self, state: Liveness, actions: Sequence[Send | Publish], now: float) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._send(action, state)
            else:
                self._write(state, action.view, now)

    def _send(self, send: Send, state: Liveness) -> None:
        for datagram in self._seal.sealed(send.message, state.own.life, send.address):
            try:
                self._socket.sendto(datagram, (send.address, self._port))
            except OSError as error:  # no route, say: as good as lost
                log.debug("heartbeat to %s: %s", send.address, error)

    def _write(self, state: Liveness, view: View, now: float) -> None:
        date = time.time() - now
        reach = Reach(view.version, {name: date + since for name, since in view.cut.items()})
        log.info("%s: cut off are %s", self._me.name, ", ".join(sorted(view.cut)) or "none")
        try:
            write_view(self._file, reach, tuple(state.reports.values()))
        except OSError as error:
            log.warning("the view of %s could not be written: %s", self._me.name, error)


def heartbeat(start: NodeStart, environment: Mapping[str, str]) -> Heartbeat | None:
    """The running heartbeat of a node that has just joined; None, and a line in its log, where it cannot be."""
    head = start.head.rpartition(":")[0].strip("[]")
    try:
        me = Peer(start.name, start.tier, start.site, start.address or _own_address(head))
        folder = node_folder(Path(environment[FABRIC]), start.name)
        made = Heartbeat(me, head, read_token(Path(environment[TOKEN_PATH])), folder)
        made.start()
    except (OSError, FabricError, KeyError) as error:
        log.warning("%s has no heartbeat, and the others will take it for cut: %s", start.name, error)
        return None
    return made


def _own_address(head: str) -> str:
    """The address of this machine that leads to the host `head`. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in head else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((head, PORT))  # sends nothing
        return str(probe.getsockname()[0])
