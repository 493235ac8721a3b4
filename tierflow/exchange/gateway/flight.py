"""The gateway over Arrow Flight (https://arrow.apache.org/docs/format/Flight.html): do_put, do_get, and no more.

It is spoken here by gRPC itself and not by pyarrow's server, which takes messages of any size, and lets Arrow allocate
what a header says, before any code of ours could look. Here a message has a bound, and its header is checked first.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pyarrow as pa

from tierflow.errors import ClientRefused
from tierflow.exchange.gateway import wire
from tierflow.exchange.gateway.desk import Desk, Receipt
from tierflow.exchange.gateway.flatbuffer import Malformed, Table
from tierflow.exchange.gateway.protobuf import Data, data_of, flight_data, put_result, ticket_of
from tierflow.exchange.gateway.quota import Client

__all__ = ["serve"]

_SERVICE = "arrow.flight.protocol.FlightService"
PATIENCE = 10.0
"""Seconds that the next message of a stream may take."""
READING = 3
"""A reader may take so many times as long for a message."""
AT_ONCE, EACH = 4, 2
"""Calls that are answered at once, and those of one client; each holds a message."""
SPARE = 1 << 18
"""Bytes that a message may have beside a record."""
_SCHEMA, _BATCH = 1, 3


def serve(
    desk: Desk,
    address: str,
    port: int,
    most: int,
    connections: int,
    tls: tuple[bytes, bytes] | None = None,
    patience: float = PATIENCE,
) -> tuple[grpc.Server, int]:
    """Start answering; the server and its port.

    Args:
        desk: the rules.
        address: where to listen.
        port: likewise; 0 takes any.
        most: bytes of any record at the most.
        connections: how many there may be at once.
        tls: key and certificate.
        patience: seconds that a handshake and a message may take.

    Raises:
        RuntimeError: the port is taken.
    """
    server = grpc.server(
        ThreadPoolExecutor(AT_ONCE, "tierflow-flight"),
        options=[
            ("grpc.max_receive_message_length", most + SPARE),
            ("grpc.max_metadata_size", 8192),
            ("grpc.max_concurrent_streams", AT_ONCE),
            ("grpc.max_allowed_incoming_connections", connections),
            ("grpc.server_handshake_timeout_ms", int(patience * 1000)),
            ("grpc.max_connection_idle_ms", 60_000),
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=AT_ONCE,
    )
    calls = _Calls(desk, patience)
    methods = {
        "DoPut": grpc.stream_stream_rpc_method_handler(calls.put),
        "DoGet": grpc.stream_stream_rpc_method_handler(calls.get),  # its one message is read once we know who sends it
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
    place = f"{address}:{port}"
    bound = (
        server.add_secure_port(place, grpc.ssl_server_credentials([tls])) if tls else server.add_insecure_port(place)
    )
    server.start()
    return server, bound


class _Calls:
    """The methods; what they take and give are protobuf messages as bytes."""

    def __init__(self, desk: Desk, patience: float) -> None:
        self._desk, self._patience = desk, patience
        self._held: Counter[str] = Counter()
        self._guard = threading.Lock()

    def put(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Keep each batch of a stream as a record, acknowledging each: the first by its key, others as KEY.1, KEY.2."""
        return self._answered(context, lambda client: self._put(client, requests, context))

    def get(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """The newest version of the name in the ticket, as the rows of a column `part`; NAME@OFFSET goes on there."""
        return self._answered(context, lambda _: self._get(requests, context))

    def _answered(self, context: grpc.ServicerContext, call: Callable[[Client], Iterator[bytes]]) -> Iterator[bytes]:
        try:
            client = self._desk.admit(_authorization(context))
            with self._place(client):
                for said in call(client):
                    with _within(READING * self._patience, context):
                        yield said
        except Exception as error:
            refusal = self._desk.refusal(error)
            if refusal.after:
                context.set_trailing_metadata((("retry-after", str(max(round(refusal.after), 1))),))
            context.abort(getattr(grpc.StatusCode, refusal.code), refusal.sentence)

    @contextmanager
    def _place(self, client: Client) -> Iterator[None]:
        """One of the calls that a client may have at once. Raises `ClientRefused`."""
        with self._guard:
            if self._held[client.name] >= EACH:
                raise ClientRefused("busy", f"{EACH} calls of one client at once are answered", "end one first", 1.0)
            self._held[client.name] += 1
        try:
            yield
        finally:
            with self._guard:
                self._held[client.name] -= 1
                self._held += Counter()  # forgets who holds none

    def _put(self, client: Client, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        stream = _Stream(client.limits.size)
        timed = _timed(requests, context, self._patience)
        first = self._counted(client, next(timed, b""))
        box, key, number = _descriptor(first)
        if first.header:
            stream.take(first)
        for message in timed:
            record = stream.take(self._counted(client, message))
            if record:
                name = f"{key}.{number}" if number else key
                receipt = self._desk.put(client, box, name, record, 0)
                yield put_result(_said(number, receipt))
                number += 1

    def _counted(self, client: Client, message: bytes) -> Data:
        """A message, once its bytes are counted, whatever is in it. Raises `ClientRefused`."""
        self._desk.arrived(client, len(message))
        try:
            return data_of(message)
        except Malformed as error:
            raise ClientRefused("malformed", f"a message is no FlightData: {error}", "use pyarrow.flight") from error

    def _get(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        request = next(_timed(requests, context, self._patience), b"")
        try:
            name, _, offset = ticket_of(request).decode().partition("@")
            begin = int(offset or 0)
        except ValueError as error:
            raise ClientRefused("malformed", "this ticket names nothing", "take NAME or NAME@OFFSET") from error
        found = self._desk.newest(name)
        if not 0 <= begin <= found.size:
            raise ClientRefused("range", f"there are {found.size} bytes", "ask for some of them")
        about = {"version": str(found.number), "etag": found.tag, "media": found.media, "size": str(found.size)}
        schema = pa.schema([("part", pa.large_binary())], metadata=about)
        yield from _as_flight(memoryview(schema.serialize()))
        for part in found.bytes(begin, found.size):
            batch = pa.record_batch([pa.array([part], pa.large_binary())], schema=schema)
            yield from _as_flight(memoryview(batch.serialize()))


class _Stream:
    """The messages of a put, made into a stream for each batch: its schema and dictionaries, and the batch."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._head: list[bytes | memoryview] = []
        self._size = 0

    def take(self, data: Data) -> list[bytes | memoryview]:
        """The pieces of the stream that a message completes, if it is a batch. Raises `ClientRefused`."""
        try:
            kind = Table.root(data.header).integer(1, 1)
        except Malformed as error:
            raise ClientRefused("malformed", f"a message is no Arrow message: {error}", "use pyarrow.flight") from error
        message = wire.framed(data.header, data.body)
        if kind == _BATCH and self._head:
            return [*self._head, *message]
        begins = not self._head
        self._head += message
        self._size += sum(map(len, message))
        if (kind == _SCHEMA) != begins or self._size > self._most:
            raise ClientRefused("malformed", "a stream has one schema, and dictionaries of a bounded size", "send less")
        return []


def _timed(requests: Iterator[bytes], context: grpc.ServicerContext, patience: float) -> Iterator[bytes]:
    """The messages of a stream; the call is ended where the next one takes too long."""
    while True:
        try:
            with _within(patience, context):
                message = next(requests, None)
        except grpc.RpcError as error:
            raise ClientRefused("slow", "the stream was broken off, or stood still", "send it again") from error
        if message is None:
            return
        yield message


@contextmanager
def _within(seconds: float, context: grpc.ServicerContext) -> Iterator[None]:
    """The call is ended where this takes longer."""
    timer = threading.Timer(seconds, context.cancel)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _descriptor(first: Data) -> tuple[str, str, int]:
    """Box, key and number of the first batch, as the descriptor's path says them. Raises `ClientRefused`."""
    if len(first.path) not in (2, 3) or not (len(first.path) == 2 or first.path[2].isdecimal()):
        raise ClientRefused("malformed", "the descriptor is not a path of outbox and key", "take for_path(OUTBOX, KEY)")
    number = first.path[2] if len(first.path) == 3 else "0"
    if len(number) > 9:
        raise ClientRefused("malformed", "the number of a batch has 9 digits at the most", "send a smaller one")
    return first.path[0], first.path[1], int(number)


def _said(number: int, receipt: Receipt) -> bytes:
    return json.dumps({"batch": number, "seq": receipt.seq, "again": receipt.again}).encode()


def _as_flight(encapsulated: memoryview) -> Iterator[bytes]:
    for header, body in wire.messages(encapsulated):
        yield flight_data(header, body)


def _authorization(context: grpc.ServicerContext) -> str:
    metadata: Any = context.invocation_metadata()
    for key, value in metadata:
        if key == "authorization":
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""
