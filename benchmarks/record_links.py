"""Record TCP transfers over a link of the rig whose rate changes: for `benchmarks.links` and the transfer formula."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tierflow.rig import Rig
from tierflow.topology import parse

SPEC = """
name: recorded
hosts: rig
nodes:
  - {name: cloud-1, tier: cloud, site: region-1}
  - {name: cam-1, tier: device, site: plant-1}
links:
  - {from: plant-1, to: region-1, rate: 20 Mbit/s, delay: 15 ms}
"""
ROUND_TRIP = 0.0304
RATES = (2.5e6, 2.5e5, 1.25e6, 5e6, 6.25e5, 2.5e6)
"""Bytes per second of the uplink, one after another."""
SIZES = (300_000, 20_000, 100_000, 1_000_000, 300_000, 50_000, 2_000, 500_000)
"""Bytes of the transfers under each rate, one after another, each on a new connection."""

SINK = """
import socket, sys, time
server = socket.create_server((sys.argv[1], 9)); print("ready", flush=True)
while True:
    peer, _ = server.accept(); size, begun = 0, None
    while part := peer.recv(1 << 18):
        begun = begun or time.monotonic(); size += len(part)
    print(size, time.monotonic() - begun, flush=True)
    peer.close()
"""
SOURCE = """
import socket, sys
for size in map(int, sys.argv[2:]):
    peer = socket.create_connection((sys.argv[1], 9)); peer.sendall(bytes(size))
    peer.shutdown(socket.SHUT_WR); peer.recv(1)
"""


def record(path: Path) -> None:
    """Run all sizes under all rates and write what was seen to a CSV file: SI units."""
    rows: list[tuple[float, int, float, float, float]] = []
    with tempfile.TemporaryDirectory() as folder, Rig.up(parse(SPEC), Path(folder) / "rig") as rig:
        far = rig.hosts["cloud-1"]
        command = [sys.executable, "-IS", "-c"]
        with far.popen([*command, SINK, far.address], stdout=subprocess.PIPE) as sink:
            try:
                assert sink.stdout is not None
                sink.stdout.readline()
                begun = time.monotonic()
                for rate in RATES:
                    rig.set("plant-1->region-1", rate=rate)
                    for size in SIZES:
                        rig.hosts["cam-1"].run([*command, SOURCE, far.address, str(size)])
                        arrived, seconds = sink.stdout.readline().split()
                        now = round(time.monotonic() - begun, 3)
                        rows.append((now, int(arrived), round(float(seconds), 6), rate, ROUND_TRIP))
            finally:
                sink.kill()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("time", "size", "seconds", "rate", "round_trip"))
        writer.writerows(rows)
