"""What a rig made, written down before it is made, so that whoever comes later can remove it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import psutil

from tierflow.errors import RigError
from tierflow.rig.cgroups import Hierarchy

__all__ = ["LEDGER", "Emulation", "Ledger", "Started", "identity", "locked", "write_durably"]

LEDGER = "rig.json"
"""The name of the ledger in the rig's state folder."""
_VERSION = 1

Emulation: TypeAlias = Literal["tun", "netem"]
"""What shapes the links: a process with TUN devices, or the kernel's netem."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process, told by its start time from a later one of the same id."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Started:
        """The process that has this id now."""
        return cls(pid, psutil.Process(pid).create_time())

    def runs(self) -> bool:
        """Whether it still runs."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True, slots=True)
class Ledger:
    """The record of one rig.

    Attributes:
        fabric: the name of the cluster.
        identity: begins the names of its namespaces and names its cgroup.
        emulation: what shapes its links.
        cgroup: the hierarchy that its cgroups are in: mount, version, whether it has quotas.
        addresses: of each node.
        emulator: the process that carries the packets, once it runs. Without one the rig is half made.
        owner: the process whose `with` block the rig lives in, where there is one.
        forwards: ports of this machine that lead to a port of a node.
    """

    fabric: str
    identity: str
    emulation: Emulation
    cgroup: tuple[str, Literal[1, 2], bool]
    addresses: dict[str, str]
    emulator: Started | None = None
    owner: Started | None = None
    forwards: dict[int, tuple[str, int]] | None = None

    @property
    def hierarchy(self) -> Hierarchy:
        """The hierarchy that its cgroups are in."""
        mount, version, quotas = self.cgroup
        return Hierarchy(Path(mount), version, quotas)

    @property
    def in_use(self) -> bool:
        """Whether the rig works and nobody who answered for it is gone."""
        return self.emulator is not None and self.emulator.runs() and (self.owner is None or self.owner.runs())

    def group(self, node: str) -> str:
        """The cgroup of a node."""
        return f"{self.identity}/node-{node}"

    def namespace(self, vertex: str) -> str:
        """The name of the namespace of a node, or of a site where sites have one."""
        return f"tf-{self.identity}-{vertex}"

    @property
    def servants(self) -> str:
        """The cgroup of the rig's own processes."""
        return f"{self.identity}/rig"

    def write(self, state: Path) -> None:
        """Put the record into the state folder, on the disk, whole or not at all."""
        write_durably(state / LEDGER, json.dumps({"version": _VERSION, **asdict(self)}, indent=1))

    @classmethod
    def read(cls, state: Path) -> Ledger | None:
        """The record in the state folder; None where there is none.

        Raises:
            RigError: the file is not one of ours.
        """
        try:
            written: dict[str, Any] = json.loads((state / LEDGER).read_text())
            if written.pop("version") != _VERSION:
                raise ValueError("another version")
            for role in ("emulator", "owner"):
                written[role] = Started(**written[role]) if written[role] else None
            forwards = written["forwards"] or {}
            written["forwards"] = {int(port): (node, there) for port, (node, there) in forwards.items()}
            return cls(**written)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise RigError(
                f"{state / LEDGER} is not the record of a rig ({error})", "remove the file, then run: tierflow rig down"
            ) from None


def identity(state: Path) -> str:
    """The identity of the rig that lives in a state folder: the same for the same folder, another for another."""
    return hashlib.sha256(bytes(state.resolve())).hexdigest()[:8]


def write_durably(path: Path, text: str) -> None:
    """Write a file so that it is there whole after a crash, or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Be the only process that makes or removes the rig in `state`. Raises `RigError` where another one is."""
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RigError(
                f"another process is bringing the rig in {state} up or down just now", "wait for it, then try again"
            ) from None
        yield
    finally:
        os.close(folder)
