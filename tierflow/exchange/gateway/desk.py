"""The rules of a gateway, behind whatever door a client came through: who he is, what he may, what becomes of it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from tierflow.errors import ClientRefused
from tierflow.exchange.gateway.answers import Answer, answer
from tierflow.exchange.gateway.parts import Part, Parts
from tierflow.exchange.gateway.quota import Client, Quota
from tierflow.exchange.gateway.trouble import Trouble
from tierflow.exchange.gateway.wire import ARROW, JSON, of_json, of_stream
from tierflow.exchange.stored import freeze

__all__ = ["Desk", "Keep", "Newest", "Receipt", "Version"]

_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,126}[A-Za-z0-9])?")
_MEDIA = {"bytes": "application/octet-stream", "text": "text/plain; charset=utf-8", "json": JSON}
_MEDIA |= {"table": ARROW, "batch": ARROW}
STORED = "application/vnd.tierflow.stored"
"""The media type of a value that is neither bytes, text, JSON nor Arrow: as `exchange.freeze` writes it."""
_LONGEST_HEAD = 4096
_CLIENTS = 4096
"""Clients whose quota is remembered."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A record is on the disk: its number in its outbox, and whether it was there before."""

    seq: int
    again: bool


Keep = Callable[[str, str, str, bytes, int], Receipt]
"""Keeps a record: box, client, key, value, priority. Raises `ClientRefused` where the key has another value."""


class Newest(Protocol):
    """The newest version of something on this node's disk: see `runtime.durable.versions`."""

    def listed(self) -> tuple[int, Sequence[tuple[str, int]]] | None:
        """Its number, and the digest and the bytes of each chunk; None where there is none yet."""

    def chunk(self, digest: str) -> bytes | None:
        """A chunk; None where it is not there any more."""


@dataclass(frozen=True, slots=True)
class Version:
    """The newest version of a name: number, tag, media type, and its bytes, from `start` of its chunks on."""

    number: int
    tag: str
    media: str
    size: int
    start: int
    chunks: Sequence[tuple[str, int]] = field(repr=False)
    read: Callable[[str], bytes | None] = field(repr=False)

    def bytes(self, first: int, end: int) -> Iterator[bytes]:
        """Its bytes from `first` to before `end`, chunk by chunk. Raises `ClientRefused` where a newer one came."""
        at, first, end = 0, first + self.start, end + self.start
        for digest, size in self.chunks:
            if at < end and at + size > first:
                chunk = self.read(digest)
                if chunk is None:
                    raise ClientRefused("conflict", "a newer version came meanwhile", "ask again", 1.0)
                yield chunk[max(first - at, 0) : end - at]
            at += size


class Desk:
    """What a gateway does.

    Args:
        clients: who a token belongs to; raises `ClientRefused`.
        keep: see `Keep`.
        boxes: the outboxes that clients may put into.
        versions: what clients may receive.
        parts: where uploads are kept while they are under way.

    Attributes:
        trouble: where errors are noted that are no client's doing.
    """

    def __init__(
        self,
        clients: Callable[[str], Client],
        keep: Keep,
        boxes: Collection[str],
        versions: Mapping[str, Newest],
        parts: Parts,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients, self._keep, self._boxes = clients, keep, frozenset(boxes)
        self._versions, self._parts, self._now = versions, parts, now
        self.trouble = Trouble(now)
        self._quotas: dict[Client, Quota] = {}
        self._guard = threading.Lock()
        self._opening = threading.Lock()

    def admit(self, authorization: str) -> Client:
        """Who shows this (``Bearer TOKEN``). Raises `ClientRefused`."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise ClientRefused("unknown", "no token was shown", "send it as 'Authorization: Bearer TOKEN'")
        return self._clients(token.strip())

    def refusal(self, error: Exception) -> Answer:
        """What a client is told of an error; one that is no client's doing is noted, too."""
        said = answer(error)
        if said.status >= 500:
            self.trouble.note(error)
        return said

    def begin(self, client: Client, box: str, key: str, offset: int | None = None, length: int | None = None) -> Part:
        """An upload from its start, or from `offset` on, of so many bytes if that is known. Raises `ClientRefused`."""
        self._may_put(box, key)
        if length is not None:
            self._must_fit(client, (offset or 0) + length)
        self._count(client, lambda quota, now: quota.record(now))
        return self._parts.open(client, box, key, offset)

    def add(self, client: Client, part: Part, data: bytes) -> None:
        """More of an upload; one that is too large is forgotten. Raises `ClientRefused`, `StoreError`."""
        try:
            self._must_fit(client, part.size + len(data))
        except ClientRefused:
            part.forget()
            raise
        self.arrived(client, len(data))
        part.append(data)

    def end(self, client: Client, box: str, key: str, part: Part, priority: int) -> Receipt:
        """Keep a whole upload as a record; what cannot be a record is forgotten. Raises `ClientRefused` and our own."""
        with self._opening:  # one at a time: each takes memory
            try:
                table = _table(part.content(), client.limits.size)
                receipt = self._put(client, box, key, table, priority)
            except ClientRefused:
                part.forget()
                raise
        part.forget()
        return receipt

    def arrived(self, client: Client, size: int) -> None:
        """Count bytes that came, be they of a record or not. Raises `ClientRefused`."""
        self._count(client, lambda quota, now: quota.bytes(size, now))

    def put(self, client: Client, box: str, key: str, pieces: Sequence[bytes | memoryview], priority: int) -> Receipt:
        """Keep a record that is here as the pieces of an Arrow stream. Raises `ClientRefused` and our own."""
        self._may_put(box, key)
        self._count(client, lambda quota, now: quota.record(now))
        self._must_fit(client, sum(map(len, pieces)))
        with self._opening:
            table = of_stream(memoryview(b"".join(pieces)), client.limits.size)
            return self._put(client, box, key, table, priority)

    def offset(self, client: Client, box: str, key: str) -> int:
        """Bytes that are there of an upload. Raises `ClientRefused`."""
        self._may_put(box, key)
        found = self._parts.offset(client, box, key)
        if found is None:
            raise ClientRefused("missing", "no upload of this record is under way", "send it from its start")
        return found

    def newest(self, name: str) -> Version:
        """The newest version of a name that is whole here. Raises `ClientRefused`."""
        store = self._versions.get(name)
        if store is None:
            raise ClientRefused(
                "missing", "this gateway has no such versions", "list its name in the gateway's versions"
            )
        found = store.listed()
        first = store.chunk(found[1][0][0]) if found and found[1] else None
        if found is None or first is None:
            raise ClientRefused("missing", "no version of this is here yet", "ask again later", 5.0)
        number, chunks = found
        size = sum(size for _, size in chunks)
        media, start = _media(first)
        tag = f"{number}-{hashlib.blake2b(repr(chunks).encode(), digest_size=8).hexdigest()}"
        return Version(number, tag, media, size - start, start, chunks, store.chunk)

    def _put(self, client: Client, box: str, key: str, table: pa.Table, priority: int) -> Receipt:
        return self._keep(box, client.name, key, freeze(table), priority)

    def _may_put(self, box: str, key: str) -> None:
        if box not in self._boxes:
            raise ClientRefused("missing", "this gateway has no such outbox", "list its name in the gateway's outboxes")
        if not _KEY.fullmatch(key):
            raise ClientRefused("malformed", "that can't be a record's key", "take 1 to 128 of A-Z, a-z, 0-9 and ._:-")

    def _must_fit(self, client: Client, size: int) -> None:
        if size > client.limits.size:
            raise ClientRefused("large", f"a record may have {client.limits.size} bytes", "send it as several records")

    def _count(self, client: Client, spend: Callable[[Quota, float], None]) -> None:
        with self._guard:
            now = self._now()
            if client not in self._quotas and len(self._quotas) >= _CLIENTS:
                self._quotas.pop(next(iter(self._quotas)))
            spend(self._quotas.setdefault(client, Quota(client.limits, now)), now)


def _table(content: bytes, most: int) -> pa.Table:
    """The table in a body, which says by its first byte whether it is JSON."""
    if content[:64].lstrip()[:1] in (b"[", b"{"):
        return of_json(content, most)
    return of_stream(memoryview(content), most)


def _media(first: bytes) -> tuple[str, int]:
    """The media type of a stored value, and where that begins: what is plain goes without its head."""
    head, end, _ = first[:_LONGEST_HEAD].partition(b"\n")
    kind = ""
    if end:
        try:
            kind = json.loads(head)["kind"]
        except (ValueError, KeyError, TypeError):
            kind = ""
    media = _MEDIA.get(kind)
    return (STORED, 0) if media is None else (media, len(head) + 1)
