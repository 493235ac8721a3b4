"""Sealing what may not leave its node or site: whoever has not the key of that has only an envelope and noise.

Each value has a key of its own, spread from the secret of its scope by its id (HKDF-SHA256), so nonces are numbers that
count its pieces. ChaCha20-Poly1305 (RFC 8439) and not AES, because the weakest nodes have no instructions for AES. The
envelope is not secret, but is part of what each piece is checked against: another label or lineage does not open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tierflow.errors import PayloadError
from tierflow.topology import Envelope

__all__ = ["fingerprint", "read_line", "seal", "unseal"]

PIECE = 1 << 30
"""Bytes that are sealed at once; the cipher takes 2 GiB at the most."""
_DAMAGED = "send it again: it was damaged on its way, or altered"


def fingerprint(secret: bytes) -> str:
    """What a secret is known by; says nothing of it."""
    return hashlib.sha256(b"tierflow key " + secret).hexdigest()[:16]


def seal(envelope: Envelope, parts: Sequence[Any], secret: bytes, piece: int = PIECE) -> tuple[bytes, ...]:
    """The envelope as bytes, and the parts of a value (its pickle and the buffers beside it) so that only the secret
    opens them. Each is copied once.
    """
    head = replace(envelope, key=fingerprint(secret)).to_json()
    views = [memoryview(part).cast("B") for part in parts]
    counts = [max(1, -(-view.nbytes // piece)) for view in views]
    line = head + b"\n" + b",".join(b"%d" % count for count in counts)
    cipher, pieces = _cipher(secret, envelope.id), list[bytes]()
    for view, count in zip(views, counts, strict=True):
        for at in range(count):
            pieces.append(cipher.encrypt(_nonce(len(pieces)), view[at * piece : (at + 1) * piece], line))
    return line, *pieces


def unseal(line: bytes, pieces: Sequence[Any], secret: bytes) -> list[bytes | bytearray]:
    """The parts again.

    Raises:
        PayloadError: something is missing, damaged or altered, or the secret is another.
    """
    from cryptography.exceptions import InvalidTag

    envelope, counts = read_line(line)
    if sum(counts) != len(pieces):
        raise PayloadError(f"a sealed value of {sum(counts)} pieces has {len(pieces)}", _DAMAGED)
    cipher, number, parts = _cipher(secret, envelope.id), 0, list[bytes | bytearray]()
    try:
        for count in counts:
            opened = [cipher.decrypt(_nonce(number + at), pieces[number + at], line) for at in range(count)]
            number += count
            parts.append(opened[0] if count == 1 else bytearray().join(opened))
    except (InvalidTag, ValueError):
        raise PayloadError(f"a sealed {envelope.kind} of {envelope.node} does not open", _DAMAGED) from None
    return parts


def read_line(line: bytes) -> tuple[Envelope, list[int]]:
    """The envelope, and how many pieces each part has.

    Raises:
        PayloadError: it is none.
    """
    head, _, counts = bytes(line).rpartition(b"\n")
    try:
        pieces = [int(count) for count in counts.split(b",")]
    except ValueError:
        pieces = []
    if not pieces or min(pieces) < 1:
        raise PayloadError("a sealed value does not say of how many pieces it is", _DAMAGED)
    return Envelope.of_json(head), pieces


def _cipher(secret: bytes, name: str) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt=name.encode(), info=b"tierflow stay").derive(secret))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
