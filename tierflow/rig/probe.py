"""What runs inside two hosts to measure the path between them. Run as a file: `python -IS probe.py ROLE ARGUMENT...`.

`listen ADDRESS PORT` answers; `rtt ADDRESS PORT COUNT` and `rate ADDRESS PORT RATE SIZE DURATION` ask it and print one
number: seconds, or bytes of IP packets per second.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import struct
import sys
import time

__all__ = ["HEADERS"]

HEADERS = 28
"""Bytes of the IPv4 and UDP headers of a packet."""
_ECHO, _LOAD, _REPORT = b"E", b"L", b"R"
_PATIENCE = 2.0
_TRIES = 10


def _listen(address: str, port: int) -> None:
    """Send echoes back; count a load from the arrival of its first packet, and report its rate when asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind((address, port))
        print("ready", flush=True)
        first = last = 0.0
        counted = 0
        while True:
            data, sender = sock.recvfrom(1 << 16)
            kind = data[:1]
            if kind == _LOAD:
                last = time.monotonic()
                if first:
                    counted += len(data) + HEADERS
                else:
                    first = last
            elif kind == _REPORT:
                rate = counted / (last - first) if last > first else 0.0
                sock.sendto(_REPORT + struct.pack("!d", rate), sender)
                return
            else:
                sock.sendto(data, sender)


def _rtt(address: str, port: int, count: int) -> float:
    """The median time of `count` echoes, one after the other."""
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_PATIENCE)
        sock.connect((address, port))
        for number in range(count):
            sent = time.monotonic()
            sock.send(_ECHO + struct.pack("!i27x", number))
            with contextlib.suppress(TimeoutError):
                while struct.unpack_from("!i", sock.recv(64), 1)[0] != number:
                    continue  # a late answer to an earlier one
                times.append(time.monotonic() - sent)
    return statistics.median(times) if times else float("nan")


def _rate(address: str, port: int, rate: float, size: int, duration: float) -> float:
    """The rate at which packets of `size` bytes arrive when they are sent at `rate` for `duration` seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        payload = _LOAD + bytes(size - HEADERS - 1)
        start = time.monotonic()
        sent = 0
        while (passed := time.monotonic() - start) < duration:
            if sent * size <= passed * rate:
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                    sock.send(payload)
                sent += 1
            else:
                time.sleep(sent * size / rate - passed)
        sock.settimeout(_PATIENCE)
        for _ in range(_TRIES):  # the question waits behind the load, and may be lost as it may
            with contextlib.suppress(TimeoutError):
                sock.send(_REPORT)
                while (data := sock.recv(64))[:1] != _REPORT:
                    continue
                measured: float = struct.unpack_from("!d", data, 1)[0]
                return measured
    return float("nan")


def _main(role: str, address: str, port: str, *numbers: str) -> None:
    if role == "listen":
        _listen(address, int(port))
    elif role == "rtt":
        print(_rtt(address, int(port), int(numbers[0])))
    else:
        print(_rate(address, int(port), float(numbers[0]), int(numbers[1]), float(numbers[2])))


if __name__ == "__main__":
    _main(*sys.argv[1:])
