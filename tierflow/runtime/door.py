"""The door: where a machine shows its join token and gets what a node needs. On the head, beside its Ray node.

One request is one line of JSON over TLS, one line comes back, and the connection ends. What comes back holds Ray's
token, so the asker sends nothing before the door has shown the certificate whose fingerprint is in the join token.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tierflow.errors import TrustError
from tierflow.runtime.grants import Grants
from tierflow.runtime.keys import Keys
from tierflow.runtime.settings import read_token, transfer_environment
from tierflow.topology import Topology, load
from tierflow.trust import Claim, JoinToken, Knocks, admit
from tierflow.trust.authority import NODE_LIFE

__all__ = ["DOOR_PORT", "LONGEST", "Door"]

DOOR_PORT = 6380
LONGEST = 8192
"""Bytes of a request."""
PATIENCE = 10.0
"""Seconds for the handshake, and again for the request."""
AT_ONCE = 64
"""Connections that are open at once; others are closed unheard."""

log = logging.getLogger("tierflow.door")


class Door:
    """The door of the fabric whose state is in `state` and whose head is at `head` (``address:port``)."""

    def __init__(self, state: Path, head: str) -> None:
        self._state, self._head = state, head
        self._keys, self._grants, self._knocks = Keys(state), Grants(state), Knocks()
        self._spec = load(state / "cluster.yaml")
        self._open = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: on the head's own address only."""
        return self._head.rpartition(":")[0], DOOR_PORT

    def start(self) -> None:
        """Answer in a thread of its own, as long as this process runs."""
        threading.Thread(target=self._run, name="tierflow-door", daemon=True).start()

    def answer(self, line: bytes, address: str) -> Mapping[str, Any]:
        """What a request from an address is told: what the node needs, or a problem and its mend."""
        try:
            return self._let_in(*_request(line), address)
        except TrustError as error:
            log.warning("%s was not let in: %s", address, error)
            return {"problem": error.problem, "mend": error.mend}

    def _let_in(self, shown: str, name: str, request: str, address: str) -> Mapping[str, Any]:
        now = time.time()
        token = JoinToken.checked(shown, self._keys.secret, self._spec.name, now)
        declared = {node.name: (node.tier, node.site) for node in self._spec.nodes}
        claim = admit(
            token, Claim(name, token.tier, token.site, address), self._grants.admitted(), declared, self._grants.made()
        )
        tls = None
        if self._keys.encrypted:
            certificate = self._keys.certify(request.encode(), claim.name, address)
            tls = {"certificate": certificate.decode(), "trusted": self._keys.trusted.decode()}
        self._grants.admit([(claim, token.id)])
        log.info("%s was admitted to tier %s at site %s, by the join token %s", *_parts(claim), token.id)
        own = replace(token, name=claim.name, expires=now + NODE_LIFE, own=True)
        return {
            **asdict(claim),
            "fabric": self._spec.name,
            "head": self._head,
            "transfers": transfer_environment(Topology.of(self._spec), claim.name),
            "token": read_token(self._state / "token"),
            "own": own.sealed(self._keys.secret),
            "site_secret": self._keys.of_site(claim.site).hex(),
            "tls": tls,
        }

    def _run(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self._keys.folder / "door.pem", self._keys.folder / "door.key")
        try:
            asyncio.run(self._serve(context))
        except OSError as error:
            log.error("nobody can join: the door cannot listen at %s:%d (%s)", *self.address, error)

    async def _serve(self, context: ssl.SSLContext) -> None:
        host, port = self.address
        server = await asyncio.start_server(
            self._heard, host, port, ssl=context, limit=LONGEST, ssl_handshake_timeout=PATIENCE
        )
        async with server:
            await server.serve_forever()

    async def _heard(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")[0]
        try:
            if self._open >= AT_ONCE:
                return
            self._open += 1
            try:
                await self._reply(reader, writer, address)
            finally:
                self._open -= 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # who hangs up, waits or sends too much is not answered
        finally:
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        if self._knocks.heard(address, time.monotonic()):
            line = await asyncio.wait_for(reader.readuntil(b"\n"), PATIENCE)
            said = self.answer(line, address)
        else:
            said = {"problem": f"{address} has knocked too often", "mend": "wait a minute", "again": True}
        writer.write(json.dumps(said).encode() + b"\n")
        await asyncio.wait_for(writer.drain(), PATIENCE)


def _request(line: bytes) -> tuple[str, str, str]:
    """Token, name and request for a certificate."""
    try:
        said = json.loads(line)
        token, name, request = said["token"], said["name"], said["request"]
        if isinstance(token, str) and isinstance(name, str) and isinstance(request, str) and request.isascii():
            return token, name, request
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise TrustError("this is not a request that the door knows", "use `tierflow join` of the head's version")


def _parts(claim: Claim) -> tuple[str, str, str]:
    return claim.name, claim.tier, claim.site
