"""Arrow Flight, and pickles over TCP, as G1's baselines: ``python -m benchmarks.transfer_server HOST PORT``.

Flight is at PORT and the pickles are at the one above. Both make a value when they are asked for it, and send it when
they are asked again.
"""

from __future__ import annotations

import json
import pickle
import socketserver
import struct
import sys
import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

from benchmarks.transfer_data import make


def as_table(value: Any) -> pa.Table:
    """A table as it is; the elements of an array, a tensor or the tensors of a state dict as its one column."""
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, dict):
        value = np.concatenate([np.asarray(tensor).reshape(-1) for tensor in value.values()])
    return pa.table({"values": np.asarray(value).reshape(-1)})


class Flights(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """Values as tables."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._ready: dict[bytes, pa.Table] = {}

    def do_action(self, context: Any, action: Any) -> list[Any]:
        """Make what the ticket says."""
        ticket = action.body.to_pybytes()
        self._ready = {ticket: as_table(make(*json.loads(ticket)))}
        return []

    def do_get(self, context: Any, ticket: Any) -> Any:
        """Send it."""
        return flight.RecordBatchStream(self._ready.pop(ticket.ticket))


class Pickles(socketserver.BaseRequestHandler):
    """A value as a pickle (protocol 5, in band)."""

    def handle(self) -> None:
        """Make what is asked for, and send it when it is asked for again."""
        (size,) = struct.unpack("!I", self.request.recv(4))
        data = pickle.dumps(make(*json.loads(self.request.recv(size))), 5)
        self.request.sendall(b"!")
        if self.request.recv(1):
            self.request.sendall(data)


def main(host: str, port: int) -> None:
    """Serve until it is killed."""
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    pickles = socketserver.ThreadingTCPServer((host, port + 1), Pickles)
    threading.Thread(target=pickles.serve_forever, daemon=True).start()
    server = Flights(f"grpc://{host}:{port}")
    print("ready", flush=True)
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
