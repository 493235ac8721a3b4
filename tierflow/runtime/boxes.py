"""Where a node keeps its outboxes, its inboxes and the key that seals them, and the versions of what it follows."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tierflow.runtime.record import node_folder, root_folder
from tierflow.runtime.settings import FABRIC, NODE_FOLDER
from tierflow.topology import NODE

__all__ = [
    "followed",
    "followed_folder",
    "inbox_folder",
    "key_file",
    "node_here",
    "outbox_folder",
    "outboxes",
    "own_folder",
    "published_folder",
    "unsent",
]


def own_folder() -> Path:
    """The folder of the node that this process is on; of this machine where it is in no fabric.

    Raises:
        FabricError: it belongs to a fabric that cannot be joined.
    """
    given = os.environ.get(NODE_FOLDER)
    if given:
        return Path(given)
    state = os.environ.get(FABRIC)
    if state:
        return node_folder(Path(state), node_here())
    return root_folder() / "nodes" / quote(socket.gethostname(), safe="")


def node_here() -> str:
    """The name of the node that this process is on. Raises `FabricError` where it is in no fabric."""
    import ray

    from tierflow.runtime.calls import connect

    if not ray.is_initialized():
        connect()
    return str(ray.get_runtime_context().get_node_labels()[NODE])


def outbox_folder(node: Path, name: str) -> Path:
    """Where an outbox of a node is."""
    return node / "outbox" / name


def outboxes(node: Path) -> list[Path]:
    """The outboxes of a node, by name."""
    return sorted(path.parent for path in (node / "outbox").glob("*/lock"))


def inbox_folder(node: Path, name: str) -> Path:
    """Where an inbox of a node is."""
    return node / "inbox" / name


def key_file(node: Path) -> Path:
    """The file with the key of what a node keeps sealed."""
    return node / "seal.key"


def published_folder(node: Path, name: str) -> Path:
    """Where a node keeps the versions that it publishes."""
    return node / "published" / name


def followed_folder(node: Path, name: str) -> Path:
    """Where a node keeps the versions that it follows."""
    return node / "followed" / name


def followed(node: Path) -> list[str]:
    """What a node follows, by name."""
    return sorted(path.parent.name for path in (node / "followed").glob("*/chunks"))


def unsent(state: Path) -> Iterator[tuple[str, str, int]]:
    """Node, outbox and number of records of each outbox on this disk in which some wait."""
    from tierflow.runtime.durable.outbox import OutboxStore

    for node in sorted((state / "nodes").glob("*/")):
        for folder in outboxes(node):
            store = OutboxStore(folder)
            try:
                records = store.backlog().records
            finally:
                store.close()
            if records:
                yield node.name, folder.name, records
