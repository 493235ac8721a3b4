"""The clients of a node's gateway: a file of JSON in the node's folder, which the command line writes."""

from __future__ import annotations

import fcntl
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tierflow.errors import StoreError, TrustError
from tierflow.exchange.gateway.quota import Client, Limits
from tierflow.runtime.cache import write_whole
from tierflow.trust import NAME
from tierflow.trust.client import ClientGrant, checked, digest, sealed

__all__ = ["Clients", "ClientsFile"]


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients of the gateway of the node with this folder."""

    folder: Path

    @property
    def file(self) -> Path:
        """Where they are."""
        return self.folder / "gateway" / "clients.json"

    def made(self) -> dict[str, ClientGrant]:
        """Every token that was made, by its id. Raises `StoreError`."""
        try:
            return {row["id"]: ClientGrant(**row) for row in json.loads(self.file.read_text())}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"the clients in {self.file} cannot be read ({error})", "make them anew") from error

    def make(self, name: str, lasts: float, limits: Limits) -> str:
        """A new token for the client of this name, good for `lasts` seconds. Raises `TrustError`, `StoreError`."""
        if not NAME.fullmatch(name):
            raise TrustError(f"{name!r} is no name of a client", "use 1 to 24 of a-z, 0-9 and '-'")
        if lasts <= 0 or min(limits.size, limits.day, limits.rate, limits.uploads) <= 0:
            raise TrustError("a token with no time, size or rate lets nobody in", "give more than 0")
        token = sealed(secrets.token_hex(6), secrets.token_urlsafe(32))
        now = time.time()
        grant = ClientGrant(token.split(".")[1], name, digest(token), now + lasts, now, **asdict(limits))
        self._change(lambda made: {**made, grant.id: grant})
        return token

    def revoke(self, id: str) -> ClientGrant:
        """Let nobody in by a token any more; what it was. Raises `TrustError`, `StoreError`."""

        def revoked(made: dict[str, ClientGrant]) -> dict[str, ClientGrant]:
            if id not in made:
                raise TrustError(f"there is no client's token {id!r}", "see `tierflow gateway token list`")
            return {**made, id: replace(made[id], revoked=made[id].revoked or time.time())}

        return self._change(revoked)[id]

    def _change(self, change: Callable[[dict[str, ClientGrant]], dict[str, ClientGrant]]) -> dict[str, ClientGrant]:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self.file.parent / "clients.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                after = change(self.made())
                write_whole(self.file, json.dumps([asdict(grant) for grant in after.values()], indent=1))
        except OSError as error:
            raise StoreError(f"the clients in {self.file} cannot be written ({error})", "make room there") from error
        return after


class ClientsFile:
    """Who a token belongs to, by the file as it is now: a token that was revoked is refused at its next request."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._read: tuple[object, Mapping[str, ClientGrant]] = None, {}

    def __call__(self, token: str) -> Client:
        """The client. Raises `ClientRefused`, `StoreError`."""
        grant = checked(token, self._grants(), time.time())
        return Client(grant.name, Limits(grant.size, grant.day, grant.rate, grant.uploads))

    def _grants(self) -> Mapping[str, ClientGrant]:
        try:
            stat = self._clients.file.stat()
        except OSError:
            return {}
        seen = stat.st_mtime_ns, stat.st_ino, stat.st_size
        if self._read[0] != seen:
            self._read = seen, self._clients.made()
        return self._read[1]
