"""Heartbeats as datagrams: as small as they can be, authenticated, each taken once. Knows nothing of sockets.

A beat is 20 bytes, 48 with its IP and UDP headers: flags (1), the sender's life (4) and a counter (4), the digest (3),
and the first 8 bytes of a keyed BLAKE2b (RFC 7693) over all of it and both addresses, so that what was sent to one
node proves nothing to another. Reports follow the digest, compressed. They are authentic, not secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import zlib
from collections.abc import Iterator, Sequence

from tierflow.control import Message, Peer, Report

__all__ = ["Seal", "packed", "unpacked"]

HEADER, TAG = struct.Struct("!BII3s"), 8
ASKS, BEAT, FORMAT = 1, 2, 0x10
ROOM = 1100
"""Bytes of reports in a datagram: with the rest they pass any link of the Internet in one piece."""
MOST = 1 << 20
"""Bytes that reports may have once they are unpacked."""
WINDOW = 64
"""By how much a datagram may be late behind later ones."""


class Seal:
    """What a node sends, and what it takes from others, under the key of the fabric's `token`.

    `address` is its own. Of each sender it remembers the last counters, so that a datagram that was recorded and sent
    again is not taken. One of an earlier life of its sender is not either, but `stale` is true after it: a node that
    has lost its memory should be told of its life, or nobody would ever listen to it.
    """

    def __init__(self, token: str, address: str) -> None:
        self._key = hashlib.blake2b(token.encode(), digest_size=32, person=b"tierflow-beats").digest()
        self._address, self._count = address, 0
        self._seen: dict[str, tuple[int, int, int]] = {}
        self.stale = False

    def sealed(self, message: Message, life: int, target: str) -> Iterator[bytes]:
        """The datagrams that carry a message to an address."""
        flags = FORMAT | ASKS * message.asks | BEAT * message.beat
        for body in packed(message.reports):
            self._count += 1
            head = HEADER.pack(flags, life, self._count, message.digest.to_bytes(3, "big")) + body
            yield head + self._tag(head, self._address, target)

    def opened(self, datagram: bytes, source: str) -> Message | None:
        """The message in a datagram that came from an address; None for what is not authentic or was here before."""
        self.stale = False
        head, tag = datagram[:-TAG], datagram[-TAG:]
        if len(head) < HEADER.size or not hmac.compare_digest(tag, self._tag(head, source, self._address)):
            return None
        flags, life, count, digest = HEADER.unpack_from(head)
        if flags & ~(ASKS | BEAT) != FORMAT or not self._is_new(source, life, count):
            return None
        return Message(
            int.from_bytes(digest, "big"), bool(flags & ASKS), unpacked(head[HEADER.size :]), bool(flags & BEAT)
        )

    def _tag(self, head: bytes, source: str, target: str) -> bytes:
        words = f"{source}>{target}>".encode() + head
        return hashlib.blake2b(words, key=self._key, digest_size=TAG).digest()

    def _is_new(self, source: str, life: int, count: int) -> bool:
        last, top, seen = self._seen.get(source, (life, 0, 0))
        if life != last:
            self.stale = life < last
            if self.stale:
                return False
            top, seen = 0, 0
        if count > top:
            seen = ((seen << (count - top)) | 1) & ((1 << WINDOW) - 1) if count - top < WINDOW else 1
            top = count
        else:
            bit = 1 << (top - count)
            if top - count >= WINDOW or seen & bit:
                return False
            seen |= bit
        self._seen[source] = life, top, seen
        return True


def packed(reports: Sequence[Report]) -> Iterator[bytes]:
    """Reports in as many pieces as they need; one empty piece for none."""
    body = zlib.compress(_text(reports), 9) if reports else b""
    if len(body) > ROOM and len(reports) > 1:
        half = len(reports) // 2
        yield from packed(reports[:half])
        yield from packed(reports[half:])
    else:
        yield body


def unpacked(body: bytes) -> tuple[Report, ...]:
    """What `packed` made into one piece. It comes from who holds the key; what cannot be read is left out."""
    if not body:
        return ()
    try:
        rows = json.loads(zlib.decompressobj().decompress(body, MOST))
        return tuple(
            Report(Peer(*peer), int(life), int(number), frozenset(hears)) for peer, life, number, hears in rows
        )
    except (zlib.error, ValueError, TypeError):
        return ()


def _text(reports: Sequence[Report]) -> bytes:
    rows = [
        ((r.peer.name, r.peer.tier, r.peer.site, r.peer.address), r.life, r.number, sorted(r.hears)) for r in reports
    ]
    return json.dumps(rows, separators=(",", ":")).encode()
