"""2,000 damaged inputs by each way in: each is answered, none with a 500, nothing crashes, and memory stays bounded."""

from __future__ import annotations

import http.client
import random
import socket
import struct
from collections import Counter

import grpc
import pyarrow as pa

from tests.gateway.conftest import Gateway, stream
from tierflow.exchange.gateway.protobuf import flight_data
from tierflow.exchange.gateway.wire import ARROW, JSON, messages

BODIES, REQUESTS, CALLS = 1400, 200, 400
GROWTH = 128 << 20
"""Bytes that the process may grow by; a record here has 1 MiB at the most."""
TABLE = pa.table(
    {
        "n": list(range(300)),
        "s": ["word", None, "ü"] * 100,
        "l": [[1, 2], None, []] * 100,
        "d": pa.array(["x", "y", None] * 100).dictionary_encode(),
        "m": [{"a": 1.5, "b": b"z"}] * 300,
    }
)
EXTREME = (-1, 0, -(2**63), 2**63 - 1, 2**62, 2**40, 2**31 - 1, 2**16)
SEEDS = [stream(TABLE), stream(TABLE, "zstd"), stream(TABLE, "lz4"), b'[{"a": 1, "b": ["x", {"c": null}]}]' * 1]


def mutated(body: bytes, chance: random.Random) -> bytes:
    made = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(max(len(made) - 8, 1))
        if chance.random() < 0.5:  # most of what can be wrong is said near the start
            at %= 2048
        match chance.randrange(6):
            case 0:
                made[at] ^= 1 << chance.randrange(8)
            case 1:
                del made[at:]
            case 2:
                made[at - at % 4 : at - at % 4 + 8] = struct.pack("<q", chance.choice(EXTREME))
            case 3:
                made[at:at] = chance.randbytes(chance.randint(1, 16))
            case 4:
                made[at:at] = made[at : at + 64] * chance.randint(1, 3)
            case _:
                del made[at : at + chance.randint(1, 16)]
        if not made:
            break
    return bytes(made)


def test_damaged_inputs_are_refused_in_bounded_memory(server: Gateway) -> None:
    chance, statuses, codes = random.Random(12), Counter[int](), Counter[str]()
    assert server.put("seed", SEEDS[0])[0] in (200, 201)
    before, token = server.memory(), server.made(name="fuzzer")
    link = http.client.HTTPConnection("127.0.0.1", server.http, timeout=20)
    for number in range(BODIES):
        kind, body = (JSON, SEEDS[3]) if number % 7 == 0 else (ARROW, SEEDS[number % 3])
        head = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        link.request("PUT", f"/v1/outboxes/readings/fuzz-{number}", mutated(body, chance), head)
        answer = link.getresponse()
        assert answer.read()
        statuses[answer.status] += 1
    link.close()
    request = f"PUT /v1/outboxes/readings/raw HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    request += f"Content-Type: {JSON}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"
    for _ in range(REQUESTS):
        statuses[raw(server, mutated(request.encode(), chance))] += 1
    parts = [flight_data(header, bytes(body)) for header, body in messages(memoryview(SEEDS[1]))]
    path = bytes([0x1A, 8]) + b"readings" + bytes([0x1A, 1]) + b"f"
    parts[0] = bytes([0x0A, len(path)]) + path + parts[0]
    with grpc.insecure_channel(f"127.0.0.1:{server.flight}") as channel:
        call = channel.stream_stream("/arrow.flight.protocol.FlightService/DoPut")
        for number in range(CALLS):
            sent = list(parts)
            at = number % len(sent)
            sent[at] = mutated(sent[at], chance)
            try:
                list(call(iter(sent), metadata=[("authorization", f"Bearer {token}")], timeout=20))
                codes["OK"] += 1
            except grpc.RpcError as error:
                codes[error.code().name] += 1
    print(dict(statuses), dict(codes), f"grew by {(server.memory() - before) >> 20} MiB")
    assert statuses.total() + codes.total() == 2000
    assert max(statuses) < 500
    assert set(codes) <= {"OK", "INVALID_ARGUMENT", "ALREADY_EXISTS", "NOT_FOUND"}
    assert statuses[400] + codes["INVALID_ARGUMENT"] > 1000
    assert server.memory() - before < GROWTH
    assert server.process.poll() is None
    assert server.put("seed", SEEDS[0])[0] == 200


def raw(server: Gateway, request: bytes) -> int:
    """The status of the answer; 0 where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", server.http), 10) as link:
        received = b""
        try:
            link.sendall(request)
            link.shutdown(socket.SHUT_WR)
            while more := link.recv(65536):
                received += more
        except OSError:
            pass
    return int(received.split(b" ")[1]) if received.startswith(b"HTTP/1.1 ") else 0
