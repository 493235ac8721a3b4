"""Small programs that the tests run inside hosts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tierflow.rig import Host

ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 7)); print("ready", flush=True)
while True:
    data, sender = s.recvfrom(65536); s.sendto(data, sender)
"""
ASK = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(float(sys.argv[3])); s.connect((sys.argv[1], 7))
got = 0
for _ in range(int(sys.argv[2])):
    begun = time.monotonic(); s.send(b"x" * 32)
    try: s.recv(64); got += 1; took = time.monotonic() - begun
    except TimeoutError: took = -1
print(got, took)
"""
SINK = """
import socket, sys, time
s = socket.create_server((sys.argv[1], 9)); print("ready", flush=True)
c, _ = s.accept(); n = 0; begun = None
while part := c.recv(1 << 18):
    begun = begun or time.monotonic(); n += len(part)
print(n, time.monotonic() - begun)
"""
SOURCE = """
import socket, sys
s = socket.create_connection((sys.argv[1], 9)); s.sendall(bytes(int(sys.argv[2])))
s.shutdown(socket.SHUT_WR); s.recv(1)
"""


@contextmanager
def serving(host: Host, program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs on a host until the block ends, once it has said that it is ready."""
    with host.popen([sys.executable, "-IS", "-c", program, host.address], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def ask(near: Host, far: Host, count: int = 1, patience: float = 1.0) -> tuple[int, float]:
    """Send `count` echoes from `near` to `far`: how many came back, and the time of the last in seconds."""
    argv = [sys.executable, "-IS", "-c", ASK, far.address, str(count), str(patience)]
    got, took = near.run(argv).stdout.split()
    return int(got), float(took)


def transfer(near: Host, far: Host, size: int) -> tuple[int, float]:
    """Send `size` bytes over one TCP connection: the bytes that arrived, and the time from the first to the last."""
    with serving(far, SINK) as sink:
        near.run([sys.executable, "-IS", "-c", SOURCE, far.address, str(size)])
        assert sink.stdout is not None
        arrived, took = sink.stdout.readline().split()
    return int(arrived), float(took)
