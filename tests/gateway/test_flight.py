"""The gateway over Arrow Flight, as pyarrow's client meets it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
import pyarrow as pa
import pytest
from pyarrow import flight

from tests.gateway.conftest import MODEL, Gateway, stream
from tierflow.exchange.gateway.protobuf import flight_data
from tierflow.exchange.gateway.quota import Limits
from tierflow.exchange.gateway.wire import messages

SERVICE = "/arrow.flight.protocol.FlightService"
TABLE = pa.table({"n": list(range(1000)), "s": pa.array(["a", "b"] * 500).dictionary_encode()})


@pytest.fixture
def client(server: Gateway) -> Iterator[flight.FlightClient]:
    with flight.FlightClient(f"grpc://127.0.0.1:{server.flight}") as made:
        yield made


def shown(token: str) -> flight.FlightCallOptions:
    return flight.FlightCallOptions(timeout=20, headers=[(b"authorization", f"Bearer {token}".encode())])


def put(client: flight.FlightClient, token: str, table: pa.Table, *path: str, rows: int = 10**6) -> list[Any]:
    writer, reader = client.do_put(flight.FlightDescriptor.for_path(*path), table.schema, shown(token))
    said = []
    with writer:
        for batch in table.to_batches(max_chunksize=rows):
            writer.write_batch(batch)
            said.append(json.loads(reader.read().to_pybytes()))
        writer.done_writing()
    return said


def test_batches_are_kept_once_and_acknowledged_one_by_one(server: Gateway, client: flight.FlightClient) -> None:
    first = put(client, server.token, TABLE, "readings", "flown", rows=400)
    assert [(said["batch"], said["again"]) for said in first] == [(0, False), (1, False), (2, False)]
    again = put(client, server.token, TABLE, "readings", "flown", rows=400)
    assert again == [said | {"again": True} for said in first]
    (last,) = put(client, server.token, TABLE.slice(800), "readings", "flown", "2")
    assert last == first[2] | {"again": True}
    kept = server.kept()
    parts = [kept[f"sensor/{name}"] for name in ("flown", "flown.1", "flown.2")]
    assert pa.concat_tables(parts, promote_options="default").to_pylist() == TABLE.to_pylist()


def test_what_was_sent_by_http_is_not_sent_again(server: Gateway, client: flight.FlightClient) -> None:
    plain = TABLE.select(["n"])
    assert server.put("both", stream(plain, "lz4"))[0] == 201
    (said,) = put(client, server.token, plain, "readings", "both")
    assert said["again"]


def test_a_version_comes_down_from_any_offset(server: Gateway, client: flight.FlightClient) -> None:
    for ticket, wanted in ((b"model", MODEL), (b"model@100000", MODEL[100_000:]), (b"model@512000", b"")):
        found = client.do_get(flight.Ticket(ticket), shown(server.token)).read_all()
        assert b"".join(found["part"].to_pylist()) == wanted
        assert found.schema.metadata[b"version"] == b"1"


def test_refusals(server: Gateway, client: flight.FlightClient) -> None:
    with pytest.raises(flight.FlightUnauthenticatedError, match="not known"):
        put(client, "tg1.x.y", TABLE, "readings", "k")
    with pytest.raises(pa.ArrowKeyError, match="no such outbox"):
        put(client, server.token, TABLE, "other", "k")
    with pytest.raises(pa.ArrowInvalid, match="path of outbox and key"):
        put(client, server.token, TABLE, "readings")
    with pytest.raises((pa.ArrowInvalid, flight.FlightError), match="1000 bytes"):
        put(client, server.made(Limits(size=1000), "small"), TABLE, "readings", "k")
    put(client, server.token, TABLE, "readings", "taken")
    with pytest.raises((pa.ArrowException, flight.FlightError), match="other content"):
        put(client, server.token, TABLE.slice(1), "readings", "taken")
    for ticket in (b"other", b"model@x", b"model@-1", b"\xff", b"model@99999999"):
        with pytest.raises((pa.ArrowException, flight.FlightError)):
            client.do_get(flight.Ticket(ticket), shown(server.token)).read_all()


def test_a_message_that_is_too_large_is_not_read(server: Gateway) -> None:
    before = server.memory()
    with grpc.insecure_channel(f"127.0.0.1:{server.flight}") as channel:
        call = channel.stream_stream(f"{SERVICE}/DoPut")
        with pytest.raises(grpc.RpcError) as refused:
            list(call(iter([bytes(200 << 20)]), metadata=[("authorization", f"Bearer {server.token}")], timeout=20))
    # Where the machine is busy the gateway's patience ends first.
    ended = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
    assert refused.value.code() in ended
    assert server.memory() - before < 60 << 20


def never() -> Iterator[bytes]:
    threading.Event().wait(10)
    yield b""


def test_who_shows_no_token_and_is_silent_keeps_no_place(server: Gateway, client: flight.FlightClient) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.flight}") as channel:
        for method in ("DoGet", "DoPut"):
            silent = [channel.stream_stream(f"{SERVICE}/{method}")(never(), timeout=8) for _ in range(4)]
            for call in silent:
                assert call.code() == grpc.StatusCode.UNAUTHENTICATED
            assert client.do_get(flight.Ticket(b"model"), shown(server.token)).read_all().num_rows


def test_what_a_client_sends_is_counted_whatever_it_is(server: Gateway, client: flight.FlightClient) -> None:
    sent = [flight_data(header, bytes(body)) for header, body in messages(memoryview(stream(TABLE.slice(0, 400))))]
    path = bytes([0x1A, 8]) + b"readings" + bytes([0x1A, 7]) + b"counted"
    sent[0] = bytes([0x0A, len(path)]) + path + sent[0]
    schema, words, batch = sent
    bare = bytes([0x1A, 3]) + b"one"  # what an application notes beside a batch
    limits = Limits(day=2 * len(schema) + 5 * len(words) + len(batch))
    free, counted = server.made(name="counted"), server.made(limits, "counter")

    def said(token: str, *sent: bytes) -> tuple[grpc.StatusCode, str]:
        with grpc.insecure_channel(f"127.0.0.1:{server.flight}") as channel:
            call = channel.stream_stream(f"{SERVICE}/DoPut")(
                iter(sent), timeout=8, metadata=[("authorization", f"Bearer {token}")]
            )
            with suppress(grpc.RpcError):
                list(call)
            return call.code(), call.details()

    headless = bytes([0x0A, len(path)]) + path
    assert said(free, headless, sent[0], words, batch) == (grpc.StatusCode.OK, "")
    for wrong in (
        [], [b""], [bare], [headless, bare], [schema, bare], [schema, words, b""], [schema, words, batch, bare],
        [schema, schema], [headless + batch],
    ):  # fmt: skip
        assert said(free, *wrong)[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert said(counted, schema, words, batch) == (grpc.StatusCode.OK, "")
    code, details = said(counted, schema, *[words] * 9)
    assert (code, "bytes a day" in details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)


def test_a_stream_that_stands_still_is_ended(server: Gateway) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.flight}") as channel:
        call = channel.stream_stream(f"{SERVICE}/DoPut")
        with pytest.raises(grpc.RpcError) as ended:
            list(call(never(), metadata=[("authorization", f"Bearer {server.token}")], timeout=8))
    assert (
        ended.value.code() != grpc.StatusCode.DEADLINE_EXCEEDED or "deadline" not in str(ended.value.details()).lower()
    )
