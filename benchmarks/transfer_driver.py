"""The inside of G1: a driver in the cloud fetches values that the edge has made, in turn by each side.

``python -m benchmarks.transfer_driver '["10 Mbit/s", ...]' REPEATS HOST PORT``, where HOST and PORT are of a
``benchmarks.transfer_server`` on the edge.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import pyarrow.flight as flight
import ray

import tierflow
from benchmarks.driven import answer, join, tell
from benchmarks.transfer_data import KINDS, LOSSY, make
from tierflow.rig import LinkControl
from tierflow.topology import NODE

EDGE, UPLINK, BACK = "gw-1", "plant-1<->region-1", "plant-1->region-1"
RATES = {"1 Mbit/s": 125_000.0, "10 Mbit/s": 1.25e6, "100 Mbit/s": 12.5e6}
SECONDS = 1.25
"""About how long a value's bytes take as they are."""
LEARNING = 2
"""Fetches of each kind that are not counted."""
Side = Callable[[str, int, int], Callable[[], Any]]

ours = tierflow.task(node=EDGE, num_cpus=0)(make)
lossy = ours.options(lossy=LOSSY)
plain = ray.remote(num_cpus=0, label_selector={NODE: EDGE})(make)


def by_tierflow(kind: str, size: int, seed: int) -> Callable[[], Any]:
    ref = (lossy if kind.endswith("lossy") else ours).remote(kind, size, seed)
    ray.wait([ref], fetch_local=False)
    return lambda: tierflow.get(ref)


def by_ray(kind: str, size: int, seed: int) -> Callable[[], Any]:
    ref = plain.remote(kind, size, seed)
    ray.wait([ref], fetch_local=False)
    return lambda: ray.get(ref)


def sides(host: str, port: int) -> dict[str, Side]:
    """Each side gives what fetches a value that is ready."""
    client = flight.connect(f"grpc://{host}:{port}")

    def by_flight(kind: str, size: int, seed: int) -> Callable[[], Any]:
        ticket = flight.Ticket(json.dumps([kind, size, seed]).encode())
        list(client.do_action(flight.Action("make", ticket.ticket)))
        return lambda: client.do_get(ticket).read_all()

    def by_pickle(kind: str, size: int, seed: int) -> Callable[[], Any]:
        link = socket.create_connection((host, port + 1))
        words = json.dumps([kind, size, seed]).encode()
        link.sendall(struct.pack("!I", len(words)) + words)
        link.recv(1)  # it is ready

        def fetch() -> Any:
            link.sendall(b"!")
            with link, link.makefile("rb") as file:
                return pickle.load(file)

        return fetch

    return {"tierflow": by_tierflow, "plain Ray": by_ray, "Arrow Flight": by_flight, "pickle": by_pickle}


def main(rates: list[str], repeats: int, host: str, port: int) -> None:
    """All kinds of values at every rate, by each side in turn."""
    join()
    control = LinkControl(os.environ["TIERFLOW_RIG"])
    rows: list[Any] = []
    for name in rates:
        control.set(UPLINK, rate=RATES[name], delay=0.01)
        size = int(RATES[name] * SECONDS)
        for kind in KINDS:
            for turn in range(LEARNING + repeats):
                order = list(sides(host, port).items())
                for side, fetching in order if turn % 2 else reversed(order):
                    fetch = fetching(kind, size, turn)
                    before, began = tierflow.traffic()[BACK], time.perf_counter()
                    fetch()
                    seconds = time.perf_counter() - began
                    crossed = tierflow.traffic()[BACK] - before
                    if turn >= LEARNING:
                        rows.append([name, kind, side, seconds, crossed])
                tell(f"{name}, {kind}: {turn + 1} of {LEARNING + repeats}")
    answer(rows)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
