"""Encryption at rest: ChaCha20-Poly1305 (RFC 8439) with a key for each store, from the node's key file.

What is sealed is bound to where it belongs: opened with other words beside it, it is refused. ChaCha20 and not AES,
because the weakest nodes have no instructions for AES. A nonce is random, 96 bits: good for 2**32 records of a store.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from tierflow.errors import StoreError
from tierflow.runtime.durable.database import sync_folder

__all__ = ["Seal", "make_key", "read_key"]

NONCE, KEY = 12, 32


class Seal:
    """Opens and seals what belongs to one store: the key of a file, spread with the store's birth id (HKDF-SHA256)."""

    def __init__(self, key_file: Path, birth: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        own = HKDF(SHA256(), KEY, salt=birth.encode(), info=b"tierflow store").derive(read_key(key_file))
        self._file, self._cipher = key_file, ChaCha20Poly1305(own)

    def seal(self, data: bytes, *words: object) -> bytes:
        """The data, for nobody who has not the key and these words."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, data, repr(words).encode())

    def open(self, sealed: bytes, *words: object) -> bytes:
        """What was sealed.

        Raises:
            StoreError: the key is another, or the words are.
        """
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], repr(words).encode())
        except InvalidTag:
            raise StoreError(
                f"the key in {self._file} does not open this store",
                "put back the key file that the store was made with; without it what is in the store is lost",
            ) from None


def make_key(key_file: Path) -> None:
    """Make a key file, readable by its owner only, where there is none. Raises `StoreError`."""
    if key_file.exists():
        return
    draft = key_file.with_name(f"{key_file.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY))
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):  # of several processes the first one's key is everyone's
            os.link(draft, key_file)
        draft.unlink()
        sync_folder(key_file.parent)
    except OSError as error:
        raise StoreError(f"no key can be made in {key_file} ({error})", "make its folder writable") from error


def read_key(file: Path, lost: str = "put it back: the store needs it") -> bytes:
    """The key in a file; `lost` says what to do where it is damaged or gone.

    Raises:
        StoreError: there is none, or others may read it.
    """
    try:
        mode, key = file.stat().st_mode, file.read_bytes()
    except OSError as error:
        raise StoreError(f"the key file {file} cannot be read ({error})", lost) from error
    if stat.S_IMODE(mode) & 0o077:
        raise StoreError(f"others may read the key file {file}", f"chmod 600 {file}, and take care who has seen it")
    if len(key) != KEY:
        raise StoreError(f"the key file {file} does not hold {KEY} bytes", lost)
    return key
