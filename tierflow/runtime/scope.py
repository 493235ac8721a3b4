"""The secrets of a node: of itself, which it makes and never sends, and of its site, which it was given when it joined.

Both are in files of the node's folder that only its owner may read. The head spreads a site's secret from its own keys
and gives it to the nodes of that site: at the door, with the join token that names the site, or when it starts them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tierflow.errors import FabricError, StoreError
from tierflow.runtime.cache import write_whole
from tierflow.runtime.durable.sealing import make_key, read_key
from tierflow.runtime.record import node_folder
from tierflow.runtime.settings import FABRIC, NODE_FOLDER
from tierflow.topology import NODE, Stay, scope_of

__all__ = ["Scope", "folder_here", "keep_site_secret", "scope_here"]

DEVICE, SITE = "device.key", "site.key"
SITE_NAME = "site.name"
OWN = "put it back, or take it away and another is made: values that are sealed with it do not open without it"
GIVEN = "put it back, or start or join the node again, which is given it then"


@dataclass(frozen=True, slots=True)
class Scope:
    """A node, its site, and the secrets that it has, by label and by fingerprint."""

    node: str
    site: str
    folder: Path
    secrets: Mapping[Stay, bytes]

    def secret(self, stay: Stay) -> bytes:
        """What seals values of a label.

        Raises:
            FabricError: this node was not given the secret of its site.
        """
        if stay not in self.secrets:
            raise FabricError(
                f"{self.node} has not the key of its site, so nothing can be kept in that",
                "start or join the node with this version of tierflow, or say stay='device'",
            )
        return self.secrets[stay]

    def name(self, stay: Stay) -> str:
        """What a value of a label that is made here may not leave, by name."""
        return scope_of(stay, self.node, self.site)

    def opens(self, key: str) -> bytes | None:
        """The secret with this fingerprint, if it is one of this node's."""
        from tierflow.exchange import fingerprint  # here, so that a supervisor loads no pyarrow

        return next((secret for secret in self.secrets.values() if fingerprint(secret) == key), None)


def folder_here() -> Path | None:
    """The folder of the node that this process is on; None where it is in no fabric that tierflow started."""
    given = os.environ.get(NODE_FOLDER)
    if given:
        return Path(given)
    state = os.environ.get(FABRIC)
    if not state:
        return None
    import ray

    name = ray.get_runtime_context().get_node_labels().get(NODE) if ray.is_initialized() else None
    return node_folder(Path(state), str(name)) if name else None


def scope_here() -> Scope:
    """The node that this process is on, with its secrets; its own is made when it is first asked for.

    Raises:
        FabricError: this process is on no node of a fabric.
        StoreError: a key file cannot be made or read, or others may read it.
    """
    folder = folder_here()
    if folder is None:
        raise FabricError(
            "this process is on no node that has keys, so no value can be held to its device or site here",
            "start the fabric with `tierflow up` or `tierflow join`",
        )
    return _scope(folder, _stamp(folder / DEVICE) or _made(folder), _stamp(folder / SITE))


def keep_site_secret(folder: Path, site: str, secret: bytes) -> None:
    """Write down, in a node's folder, what its site is called and the secret of that. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(folder / SITE, secret)
    write_whole(folder / SITE_NAME, site)


def _stamp(file: Path) -> int:
    """When it was written, as another fabric may have come up in the same place; 0 where it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _made(folder: Path) -> int:
    """Make the node's own key; when it was written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"no key can be kept in {folder} ({error})", "make it writable") from error
    make_key(folder / DEVICE)
    return _stamp(folder / DEVICE)


@functools.lru_cache(maxsize=16)
def _scope(folder: Path, device: int, site_stamp: int) -> Scope:
    secrets: dict[Stay, bytes] = {"device": read_key(folder / DEVICE, OWN)}
    site = ""
    if site_stamp:
        secrets["site"] = read_key(folder / SITE, GIVEN)
        site = (folder / SITE_NAME).read_text()
    return Scope(folder.name, site, folder, secrets)
