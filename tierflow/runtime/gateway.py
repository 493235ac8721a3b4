"""The gateway of a node: one process, of no Ray, in which devices that cannot run Ray put records and fetch versions.

It works on the node's disk: the node's sender takes records on, and its follower brings versions. So a cut, and the
loss of Ray itself, change nothing for a client. ``python -m tierflow.runtime.gateway FOLDER`` is it; see `attending`.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tierflow.errors import ClientRefused, FabricError, TierflowError
from tierflow.exchange.gateway.desk import Desk, Receipt
from tierflow.exchange.gateway.parts import Parts
from tierflow.runtime.boxes import followed_folder, outbox_folder
from tierflow.runtime.cache import write_whole
from tierflow.runtime.clients import Clients, ClientsFile
from tierflow.runtime.durable.outbox import OutboxStore
from tierflow.runtime.durable.versions import VersionStore
from tierflow.runtime.keys import CERTIFICATE, KEY
from tierflow.topology import GatewaySpec

__all__ = ["MOST", "close", "config_file", "desk_of", "open_at", "run"]

log = logging.getLogger("tierflow.gateway")

MOST = 16 << 20
"""Bytes of one record at the most, whatever a client's token says."""
CONNECTIONS = 64
"""Connections at the most, of each of HTTP and Flight."""
PATIENCE = 10.0
"""Seconds that a connection may be without a request, and that a body or a message may stand still."""


def config_file(folder: Path) -> Path:
    """What says how the gateway of the node with this folder is; it is open as long as the file is there."""
    return folder / "gateway" / "gateway.json"


def open_at(folder: Path, spec: GatewaySpec, address: str) -> None:
    """Open the gateway of a node, which other nodes reach at `address`; its supervisor starts it within seconds."""
    file = config_file(folder)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    listen = address if spec.listen == "node" else spec.listen
    write_whole(file, spec.model_copy(update={"listen": listen}).model_dump_json())


def close(folder: Path) -> None:
    """Close it. Tokens stay good for the next time."""
    config_file(folder).unlink(missing_ok=True)


def desk_of(folder: Path, spec: GatewaySpec) -> Desk:
    """The rules of a gateway on the stores of a node. Raises `StoreError`."""
    boxes = {name: OutboxStore(outbox_folder(folder, name), spec.limit, "refuse") for name in spec.outboxes}
    versions = {name: _Newest(VersionStore(followed_folder(folder, name))) for name in spec.versions}

    def keep(box: str, client: str, key: str, value: bytes, priority: int) -> Receipt:
        kept = boxes[box].put_once(value, f"{client}/{key}", priority)
        if kept is None:
            raise ClientRefused("conflict", "this key was sent before with other content", "send it under another key")
        return Receipt(*kept)

    return Desk(ClientsFile(Clients(folder)), keep, boxes, versions, Parts(folder / "gateway" / "parts"))


def run(folder: Path, patience: float = PATIENCE) -> None:
    """Answer until SIGTERM; what stands still for `patience` seconds is ended.

    Raises:
        FabricError: a port is taken.
        StoreError: the disk cannot be used.
    """
    import asyncio

    import uvicorn

    from tierflow.exchange.gateway import flight, slow, web

    spec = GatewaySpec.model_validate_json(config_file(folder).read_text())
    desk, door = desk_of(folder, spec), slow.Door(_listening(spec), CONNECTIONS)
    pair = folder / KEY, folder / CERTIFICATE
    tls = all(file.exists() for file in pair)
    credentials = (pair[0].read_bytes(), pair[1].read_bytes()) if tls else None
    try:
        answering, _ = flight.serve(
            desk, _bracketed(spec.listen), spec.flight, MOST, CONNECTIONS, credentials, patience
        )
    except RuntimeError as error:
        raise FabricError(f"port {spec.flight} of {spec.listen} is taken", "end what listens there") from error
    config = uvicorn.Config(
        web.app(desk, patience), http=slow.patient(patience), ws="none", lifespan="off",
        log_config=None, access_log=False, server_header=False,
        h11_max_incomplete_event_size=16384, timeout_graceful_shutdown=2,
        ssl_keyfile=str(pair[0]) if tls else None, ssl_certfile=str(pair[1]) if tls else None,
    )  # fmt: skip
    log.info("the gateway answers at %s:%d (HTTP) and %d (Flight)", spec.listen, spec.http, spec.flight)
    try:
        with asyncio.Runner(loop_factory=lambda: slow.Loop(patience)) as runner:
            runner.run(uvicorn.Server(config).serve(sockets=[door]))
    finally:
        answering.stop(1)


@dataclass(frozen=True, slots=True)
class _Newest:
    """The versions in a store, as a gateway reads them."""

    store: VersionStore

    def listed(self) -> tuple[int, Sequence[tuple[str, int]]] | None:
        found = self.store.newest()
        return None if found is None or self.store.missing(found) else (found.version, found.chunks)

    def chunk(self, digest: str) -> bytes | None:
        return self.store.chunks([digest])[0]


def _listening(spec: GatewaySpec) -> socket.socket:
    """Where HTTP comes in. Raises `FabricError`."""
    try:
        family = socket.AF_INET6 if ":" in spec.listen else socket.AF_INET
        made = socket.create_server((spec.listen, spec.http), family=family, backlog=128)
        # asyncio sets it for the sockets that it makes itself; without it an answer waits 40 ms for an ACK.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    except OSError as error:
        problem = f"the gateway cannot listen at {spec.listen}, port {spec.http} ({error.strerror})"
        raise FabricError(problem, "end what listens there, or open it at an address of this node") from error


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _end_with(parent: int) -> None:
    """End with the supervisor: the next one starts another gateway at the same ports."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Be the gateway of the node whose folder is the first argument."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what clients do wrong is no news
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        run(Path(sys.argv[1]))
    except TierflowError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
