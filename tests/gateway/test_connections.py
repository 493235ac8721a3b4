"""Connections are bounded at both doors, with those that never say a word, and those that stop in a TLS handshake."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.gateway.conftest import Gateway, certify, opened
from tierflow.runtime.gateway import CONNECTIONS
from tierflow.runtime.keys import TRUSTED

ADDRESSES = [f"127.0.0.{number}" for number in range(2, 8)]


@pytest.fixture(scope="module", params=["in the clear", "over TLS"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("node")
    if request.param == "over TLS":
        certify(folder)
    made = opened(folder, b"a model")
    yield made
    made.stop()


def established(gateway: Gateway, port: int) -> list[str]:
    """The addresses that the process has connections with at one of its ports."""
    found = psutil.Process(gateway.process.pid).net_connections("tcp")
    return [one.raddr.ip for one in found if one.laddr.port == port and one.status == "ESTABLISHED"]


def status(gateway: Gateway) -> int:
    """What a client is answered that comes from an address of its own."""
    folder = gateway.folder
    if (folder / TRUSTED).exists():
        trusted = ssl.create_default_context(cafile=str(folder / TRUSTED))
        link: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", gateway.http, timeout=5, context=trusted
        )
    else:
        link = http.client.HTTPConnection("127.0.0.1", gateway.http, timeout=5)
    try:
        link.request("GET", "/v1/versions/model", headers={"Authorization": f"Bearer {gateway.token}"})
        return link.getresponse().status
    finally:
        link.close()


def silent(stack: ExitStack, port: int, address: str) -> None:
    link = socket.create_connection(("127.0.0.1", port), 5, source_address=(address, 0))
    stack.enter_context(link)


def test_silent_connections_take_bounded_room_and_lose_it(gateway: Gateway) -> None:
    assert status(gateway) == 200
    before = gateway.memory()
    with ExitStack() as stack:
        for _ in range(40):
            for port in (gateway.http, gateway.flight):
                silent(stack, port, ADDRESSES[0])
        time.sleep(0.2)
        assert len(established(gateway, gateway.http)) <= 32
        assert status(gateway) == 200  # another address is let in
        for address in ADDRESSES[1:]:
            for _ in range(32):
                for port in (gateway.http, gateway.flight):
                    silent(stack, port, address)
        time.sleep(0.2)
        for port in (gateway.http, gateway.flight):
            assert 1 <= len(established(gateway, port)) <= CONNECTIONS
        assert gateway.memory() - before < 48 << 20
        until = time.monotonic() + 10
        while any(
            established(gateway, port) for port in (gateway.http, gateway.flight)
        ):  # a handshake has no more patience than a request
            assert time.monotonic() < until
            time.sleep(0.1)
        assert status(gateway) == 200
