"""Show a join token at the door of a fabric and keep what it gives, in the node's folder."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierflow.errors import FabricError, TrustError
from tierflow.runtime.cache import write_whole
from tierflow.runtime.keys import CERTIFICATE, KEY, TRUSTED, tls_environment
from tierflow.runtime.record import node_folder, state_folder
from tierflow.runtime.scope import keep_site_secret
from tierflow.runtime.settings import FABRIC, NODE_FOLDER, ray_environment
from tierflow.trust import Claim, JoinToken, ask

__all__ = ["Entry", "enter", "read_join_token"]

OWN, RAY_TOKEN, GIVEN = "own.token", "ray.token", "given.json"
"""The files of what was given: the node's own join token, Ray's token, and the rest."""
PATIENCE = 20.0
LARGEST = 1 << 16

log = logging.getLogger("tierflow.node")


@dataclass(frozen=True, slots=True)
class Entry:
    """What this machine was given: who it is, where the head is, the folder with its keys, how its Ray is to send."""

    claim: Claim
    fabric: str
    head: str
    folder: Path
    encrypted: bool
    transfers: dict[str, str]

    def environment(self) -> dict[str, str]:
        """What its Ray node must find in its environment."""
        own = {FABRIC: str(state_folder(self.fabric)), NODE_FOLDER: str(self.folder)}
        tls = tls_environment(self.folder) if self.encrypted else {}
        return ray_environment(self.folder / RAY_TOKEN) | self.transfers | tls | own


def read_join_token(path: Path) -> str:
    """The join token in a file.

    Raises:
        TrustError: it cannot be read, or others than its owner can.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TrustError(
            f"the join token in {path} cannot be read ({error})",
            "make one on the head with `tierflow token make` and name its file with --token-file",
        ) from None
    if mode & 0o077:
        raise TrustError(f"others than its owner can read {path}", f"chmod 600 {path}")
    JoinToken.read(text)
    return text


def enter(text: str, name: str, address: str) -> Entry:
    """Show a join token and keep what comes back. A node that was here before shows its own token first.

    Where the door cannot be reached and the node was given all it needs before, that is taken.

    Args:
        text: the join token.
        name: the node's name; empty: the one in the token.
        address: the address of this machine to knock from; empty: the one that leads to the door.

    Raises:
        TrustError: the door refuses, or is not the fabric's.
        FabricError: the door cannot be reached.
    """
    token = JoinToken.read(text)
    name = name or token.name
    folder = node_folder(state_folder(token.fabric), name) if name else None
    own = _kept(folder) if folder else None
    try:
        if own is not None:
            try:
                return _shown(own, name, address)
            except TrustError as error:
                # The fabric may have been made anew, or the token at hand be the remedy for a revoked one.
                log.warning("this node's own token was refused: %s", error)
        return _shown(text, name, address)
    except FabricError as error:
        if folder is None or own is None:
            raise
        log.warning("%s; going on with what this node was given before", error)
        return _entry(json.loads((folder / GIVEN).read_text()), folder)


def _shown(text: str, name: str, address: str) -> Entry:
    token = JoinToken.read(text)
    key, request = ask(name or "node")
    given = _exchange(token, {"token": text, "name": name, "request": request.decode()}, address)
    folder = node_folder(state_folder(token.fabric), given["name"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    tls = given.pop("tls")
    if tls is not None:
        write_whole(folder / KEY, key.decode())
        write_whole(folder / CERTIFICATE, tls["certificate"])
        write_whole(folder / TRUSTED, tls["trusted"])
    write_whole(folder / RAY_TOKEN, given.pop("token"))
    write_whole(folder / OWN, given.pop("own"))
    if secret := given.pop("site_secret", None):
        keep_site_secret(folder, given["site"], bytes.fromhex(secret))
    given["encrypted"] = tls is not None
    write_whole(folder / GIVEN, json.dumps(given))
    return _entry(given, folder)


def _entry(given: Mapping[str, Any], folder: Path) -> Entry:
    claim = Claim(given["name"], given["tier"], given["site"], given["address"])
    return Entry(claim, given["fabric"], given["head"], folder, given["encrypted"], given.get("transfers", {}))


def _kept(folder: Path) -> str | None:
    """The node's own token, where it was admitted before."""
    try:
        return (folder / OWN).read_text()
    except OSError:
        return None


def _exchange(token: JoinToken, request: Mapping[str, str], address: str) -> dict[str, Any]:
    """Ask the door and return what it gives; nothing is sent before it has shown the right certificate."""
    host, _, port = token.door.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the fingerprint says more
    source = (address, 0) if address else None
    try:
        with (
            socket.create_connection((host, int(port)), timeout=PATIENCE, source_address=source) as plain,
            context.wrap_socket(plain) as secure,
        ):
            shown = secure.getpeercert(binary_form=True) or b""
            if hashlib.sha256(shown).hexdigest() != token.pin:
                raise TrustError(
                    f"what answers at {token.door} is not the fabric that made this join token, or not as it runs now",
                    "make a token on the head as it runs now; if you did, somebody stands between this machine and it",
                )
            secure.sendall(json.dumps(request).encode() + b"\n")
            with secure.makefile("rb") as file:
                answer: dict[str, Any] = json.loads(file.readline(LARGEST))
    except (OSError, ValueError) as error:
        raise FabricError(
            f"the door of the fabric {token.fabric!r} at {token.door} does not answer ({error})",
            "see that the fabric runs and that this machine reaches it",
        ) from None
    if "problem" in answer:
        kind = FabricError if answer.get("again") else TrustError
        raise kind(answer["problem"], answer["mend"])
    return answer
