"""The actors that live on a node whatever happens to the rest: what the node keeps of them on its own disk.

The GCS, on the head, starts a node's actors again when the node has joined again. A node that starts while the head is
out of its reach has nobody who would. So a resident writes down what it was made of when it is made, in its node's
folder. From that the node's supervisor starts it in an *island*: a Ray of this one node, on a loopback address, until
the head is back. A program that starts on the node meanwhile joins the island by itself (`island_here`).
"""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tierflow.errors import OptionError
from tierflow.runtime import taint
from tierflow.runtime.answering import answers
from tierflow.runtime.cache import write_whole
from tierflow.runtime.settings import ISLAND, NODE_FOLDER

__all__ = ["ISLAND_FILE", "Resident", "has_residents", "island_here", "kept_code", "note", "residents"]

log = logging.getLogger("tierflow.node")

ISLAND_FILE = "island"
"""The file, in a node's folder, that names the island's ``address:port`` while there is one."""
KNOCK = 1.0
"""Seconds that an island, on this very machine, may take to accept a connection."""


@dataclass(frozen=True, slots=True)
class Resident:
    """What an actor is made of: its class as Ray gets it, its options by Ray's names, its arguments.

    `code` are folders that its modules are found in, besides the interpreter's own.
    """

    name: str
    namespace: str
    options: Mapping[str, Any]
    code: tuple[str, ...]
    pickled: bytes

    def file(self, folder: Path) -> Path:
        """Where it is written down in its node's folder."""
        return folder / "residents" / quote(f"{self.namespace}:{self.name}", safe="")


def has_residents(folder: Path) -> bool:
    """Whether anything is resident on the node with this folder."""
    return any((folder / "residents").glob("*"))


def note(body: type, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Write down what the actor of this process is made of; called by the actor itself when it has been made.

    Where the process belongs to no node of a fabric, or to an island, there is nothing to do. A disk that takes no more
    is reported in the actor's log: the actor itself goes on.

    Raises:
        OptionError: an argument is a reference or a handle, which mean nothing outside the fabric.
    """
    folder = os.environ.get(NODE_FOLDER)
    if folder is None or ISLAND in os.environ:
        return
    import ray
    from ray import cloudpickle

    from tierflow.runtime.hook import quiet

    for value in (*args, *kwargs.values()):
        if isinstance(value, (ray.ObjectRef, ray.actor.ActorHandle)):
            raise OptionError(
                type(value).__name__,
                "a resident actor takes plain values, as its node starts it with no fabric at hand",
                "let it find other actors by ray.get_actor(name)",
            )
    context = ray.get_runtime_context()
    name, namespace = context.get_actor_name() or "", options.get("namespace") or context.namespace  # the job's
    try:
        code = kept_code(Path(folder))
        with quiet():  # it is sealed as a whole, or has no label
            pickled = cloudpickle.dumps(_labelled((body, args, dict(kwargs))))  # type: ignore[no-untyped-call]
        resident = Resident(name, namespace, dict(options), code, pickled)
        file = resident.file(Path(folder))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, pickle.dumps(resident))
    except OSError as error:
        log.error("%s cannot be kept for a start without the head: %s", name, error)


def _labelled(given: Any) -> Any:
    """What an actor is made of: sealed where it has read what may not leave, so that whoever makes it anew has too."""
    held = taint.now()
    if held is None:
        return given
    from tierflow.runtime.guard import Sealed

    return Sealed(given, held.stay)


def island_here() -> str | None:
    """Where this node's island is, if there is one that answers and this process was told its node's folder."""
    folder = os.environ.get(NODE_FOLDER)
    if folder is None:
        return None
    with suppress(OSError, ValueError):
        address = (Path(folder) / ISLAND_FILE).read_text().strip()
        if answers(address, KNOCK):
            return address
    return None


def residents(folder: Path) -> list[Resident]:
    """What is written down and can be read: a torn or foreign file is passed over, and said so."""
    found = []
    for file in sorted((folder / "residents").glob("*")):
        try:
            resident = pickle.loads(file.read_bytes())
            assert isinstance(resident, Resident)
            found.append(resident)
        except Exception as error:  # a pickle that is not whole raises nearly anything
            log.error("%s holds no resident (%s); it is passed over", file, error)
    return found


def kept_code(folder: Path) -> tuple[str, ...]:
    """Copies, in the node's folder, of the folders that Ray unpacked for this job and keeps only as long as it likes.

    Raises:
        OSError: they cannot be copied.
    """
    kept = []
    for entry in sys.path:
        path = Path(entry)
        if "runtime_resources" in path.parts and path.is_dir():
            copy = folder / "code" / path.name  # Ray names it by its content
            if not copy.exists():
                draft = copy.with_name(f"{path.name}.{os.getpid()}")
                shutil.copytree(path, draft)
                with suppress(OSError):  # another actor was quicker
                    draft.rename(copy)
                shutil.rmtree(draft, ignore_errors=True)
            kept.append(str(copy))
    return tuple(kept)
