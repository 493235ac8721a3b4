"""The control socket of a running rig: requests as JSON lines, reachable from any process of the machine.

`LinkControl` imports nothing heavy, so that a job inside a host can use it: a unix socket has no network namespace.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tierflow.errors import RigError
from tierflow.rig.shaping import LineCounters
from tierflow.rig.trace import TraceRow, read_trace

__all__ = ["CONFIG", "SOCKET", "LinkControl", "listen"]

SOCKET = "control.sock"
"""The name of the control socket in the rig's state folder."""
CONFIG = "links.json"
"""The name of the file that says which nodes, links and paths the rig has."""
_PATIENCE = 10.0
_NAMES = "see `tierflow check FILE` for the names"


@contextlib.contextmanager
def _short(state: Path) -> Iterator[str]:
    """The socket's path through an open folder: a unix socket's path may have 107 bytes only, a state folder more."""
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


@contextlib.contextmanager
def listen(state: Path) -> Iterator[socket.socket]:
    """The control socket of the rig in `state`, listening; only its owner may connect. Removed afterwards."""
    with socket.socket(socket.AF_UNIX) as server:
        (state / SOCKET).unlink(missing_ok=True)
        with _short(state) as path:
            server.bind(path)
            Path(path).chmod(0o600)
        server.listen(64)
        try:
            yield server
        finally:
            (state / SOCKET).unlink(missing_ok=True)


class LinkControl:
    """Changes and counts the links of the running rig whose state folder is `state`.

    A target is a link's direction ("plant-1->region-1"), both ("plant-1<->region-1"), or a node or a site: everything
    to and from it. Every method raises `RigError` where the rig does not run or the request cannot be done.
    """

    def __init__(self, state: str | Path) -> None:
        self.state = Path(state)

    def set(
        self,
        target: str,
        *,
        rate: float | None = None,
        delay: float | None = None,
        loss: float | None = None,
        jitter: float | None = None,
    ) -> None:
        """Change what is given, for packets from now on: bytes per second, seconds, a share from 0 to 1, seconds.

        The largest packet of a path stays as it was made: a link declared at 50 Mbit/s or less keeps an MTU of 1500.
        """
        row = TraceRow(0.0, rate, delay, loss, jitter)
        self.request("set", target=target, change=row.change())

    def cut(self, target: str) -> None:
        """Carry nothing; what is in the link is dropped too."""
        self.request("cut", target=target)

    def heal(self, target: str) -> None:
        """Carry packets again."""
        self.request("heal", target=target)

    def counters(self) -> dict[str, LineCounters]:
        """What each link carried and dropped since the rig came up, by the link's name. Bytes are of IP packets."""
        return {name: LineCounters(**row) for name, row in self.request("counters").items()}

    def links(self) -> dict[str, dict[str, Any]]:
        """How each link is now: rate (None: unlimited), delay, jitter, loss, and whether it is up."""
        answer: dict[str, dict[str, Any]] = self.request("links")
        return answer

    def replay(self, target: str, trace: Sequence[TraceRow] | str | Path) -> None:
        """Change the link as `trace` says (rows, or a CSV file as `read_trace` takes it), beginning now.

        Returns at once. It takes the place of a replay that runs on the same link.
        """
        rows = read_trace(trace) if isinstance(trace, str | Path) else trace
        self.request("replay", target=target, trace=[{"time": row.time, **row.change()} for row in rows])

    def request(self, do: str, **what: object) -> Any:
        """Send one request and return its answer."""
        reply = self._exchange(json.dumps({"do": do, **what}).encode() + b"\n")
        if "problem" in reply:
            raise RigError(f"the rig cannot {do} this: {reply['problem']}", reply.get("mend", _NAMES))
        return reply["answer"]

    def _exchange(self, line: bytes) -> Mapping[str, Any]:
        try:
            with _short(self.state) as path, socket.socket(socket.AF_UNIX) as client:
                client.settimeout(_PATIENCE)
                client.connect(path)
                client.sendall(line)
                heard = b""
                while not heard.endswith(b"\n"):
                    part = client.recv(1 << 16)
                    if not part:
                        raise ConnectionError("the emulator hung up")
                    heard += part
        except OSError as error:
            raise RigError(f"no rig answers in {self.state} ({error})", "bring it up first: tierflow up FILE") from None
        reply: Mapping[str, Any] = json.loads(heard)
        return reply
