"""A gateway as a process of its own, on a folder of a node that no fabric is around, and a raw client of it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from tierflow.exchange import freeze
from tierflow.exchange.gateway.quota import Limits
from tierflow.exchange.gateway.wire import ARROW
from tierflow.runtime import gateway
from tierflow.runtime.attending import SPARING
from tierflow.runtime.clients import Clients
from tierflow.runtime.durable.outbox import OutboxStore
from tierflow.runtime.durable.versions import VersionStore
from tierflow.runtime.keys import CERTIFICATE, KEY, TRUSTED
from tierflow.topology import GatewaySpec
from tierflow.trust import ask, authority, issue

RUN = "import sys; from pathlib import Path; from tierflow.runtime.gateway import run; run(Path(sys.argv[1]), 1.0)"
MODEL = bytes(range(256)) * 2000
FREE = Limits(size=2 << 20, day=1 << 40, rate=1e6, uploads=4)


def stream(table: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


@dataclass
class Gateway:
    """The process, and how to talk to it."""

    folder: Path
    http: int
    flight: int
    token: str
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", RUN, str(self.folder)], env={**os.environ, **SPARING})
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                for port in (self.http, self.flight):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None
                time.sleep(0.05)
        raise AssertionError("it does not answer")

    def stop(self, *, hard: bool = False) -> None:
        if hard:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(20)

    def made(self, limits: Limits = FREE, name: str = "sensor", lasts: float = 3600) -> str:
        return Clients(self.folder).make(name, lasts, limits)

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, token: str | None = None, **more: str
    ) -> tuple[int, Any, bytes]:
        head = {"Authorization": f"Bearer {token or self.token}"}
        head |= {name.replace("_", "-"): value for name, value in more.items()}
        link = http.client.HTTPConnection("127.0.0.1", self.http, timeout=20)
        try:
            link.request(method, path, body, head)
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            link.close()

    def put(self, key: str, body: bytes, kind: str = ARROW, **more: Any) -> tuple[int, dict[str, Any]]:
        status, _, said = self.ask("PUT", f"/v1/outboxes/readings/{key}", body, Content_Type=kind, **more)
        return status, json.loads(said)

    def kept(self) -> dict[str, pa.Table]:
        from tierflow.exchange import thaw

        store = OutboxStore(self.folder / "outbox" / "readings")
        try:
            rows = store.plan().rows
            return {record.key: thaw(record.value) for record in store.read([row.seq for row in rows])}
        finally:
            store.close()

    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


def certify(folder: Path) -> None:
    """Give the node of this folder a certificate, so that its gateway speaks TLS."""
    signer = authority("test", time.time())
    key, request = ask("node")
    (folder / KEY).write_bytes(key)
    (folder / CERTIFICATE).write_bytes(issue(signer, request, "node", ["127.0.0.1"], time.time()))
    (folder / TRUSTED).write_bytes(signer.certificate)


def opened(folder: Path, model: bytes) -> Gateway:
    """A gateway that runs on this folder of a node, with a token for `sensor`."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    spec = GatewaySpec(outboxes=("readings",), versions=("model", "nothing-yet"), http=ports[0], flight=ports[1])
    gateway.open_at(folder, spec, "127.0.0.1")
    VersionStore(folder / "followed" / "model").publish(freeze(model))
    made = Gateway(folder, ports[0], ports[1], Clients(folder).make("sensor", 3600, FREE))
    made.start()
    return made


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = opened(tmp_path_factory.mktemp("node"), MODEL)
    yield made
    made.stop()
