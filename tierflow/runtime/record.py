"""What is written down of a fabric that runs on this machine, so that any later command finds it."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from tierflow.errors import FabricError
from tierflow.runtime.cache import write_whole
from tierflow.runtime.dashboard import Dashboard
from tierflow.runtime.settings import read_token
from tierflow.topology import ClusterSpec, load

__all__ = [
    "REGISTRY_UP",
    "FabricRecord",
    "find",
    "make_private",
    "node_folder",
    "ray_folder",
    "records",
    "rig_folders",
    "state_folder",
]


RECORD = "fabric.json"
"""The file of the record in a fabric's state."""
REGISTRY_UP = "registry"
"""The file that is there once the registry has come up."""


@dataclass(frozen=True, slots=True)
class FabricRecord:
    """A fabric: its name, its cluster file as it was at the start, its head and the processes that watch its nodes.

    Attributes:
        state: the folder with everything that is kept of it: record, cluster file, token, logs and the rig.
        head: ``address:port`` that nodes and drivers join at; dashboard: its URL on this machine.
        supervisors: node name to process id.
        ready: false while it is being started.
    """

    name: str
    state: str
    hosts: str
    head: str
    dashboard: str
    supervisors: dict[str, int]
    ready: bool

    def save(self) -> None:
        """Write it, whole or not at all."""
        write_whole(Path(self.state) / RECORD, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, state: Path) -> FabricRecord:
        """What `save` wrote into a state folder. Raises `OSError` or `ValueError` where there is none."""
        return cls(**json.loads((state / RECORD).read_text()))

    @property
    def token(self) -> Path:
        """The file that holds the fabric's token."""
        return Path(self.state) / "token"

    @property
    def rig(self) -> Path:
        """The folder of the rig, where there is one."""
        return Path(self.state) / "rig"

    def spec(self) -> ClusterSpec:
        """The cluster file it was started with."""
        return load(Path(self.state) / "cluster.yaml")

    def head_interface(self) -> Dashboard:
        """Its dashboard, with the token."""
        return Dashboard(self.dashboard, read_token(self.token))


def root_folder() -> Path:
    """Where the state of all fabrics is kept: ``$TIERFLOW_STATE``, otherwise a folder of this user's in ``/tmp``."""
    return Path(os.environ.get("TIERFLOW_STATE") or f"/tmp/tierflow-{os.getuid()}")


def state_folder(name: str) -> Path:
    """The state of the fabric called ``name``."""
    return root_folder() / name


def node_folder(state: Path, node: str) -> Path:
    """Where what one node keeps for itself is, in a fabric's state: on the rig all nodes share the disk."""
    return state / "nodes" / node


def ray_folder(name: str, node: str) -> Path:
    """Where Ray keeps a node's sockets: short, since a socket's path has 107 bytes at most."""
    return root_folder() / "ray" / f"{zlib.crc32(f'{name}/{node}'.encode()):08x}"


def make_private(folder: Path) -> None:
    """Make a folder in one that only its owner may enter: Ray opens its folders, and the sockets in them, to all."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)


def records() -> list[FabricRecord]:
    """The fabrics that were started on this machine and not taken down, by name."""
    return [FabricRecord.read(path.parent) for path in sorted(root_folder().glob(f"*/{RECORD}"))]


def rig_folders() -> list[Path]:
    """The folder of each rig on this machine, with or without a fabric on it, by name."""
    return sorted(path.parent for path in root_folder().glob("*/rig/rig.json"))


def find(name: str | None) -> FabricRecord:
    """The fabric called ``name``; without a name, the only one there is.

    Raises:
        FabricError: there is none, or more than one and no name was given.
    """
    found = records()
    if name is not None:
        found = [record for record in found if record.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(record.name for record in found)
        raise FabricError(f"several fabrics run here: {names}", "say which one with --fabric NAME")
    missing = "no fabric runs on this machine" if name is None else f"no fabric called {name!r} runs on this machine"
    raise FabricError(missing, "start one with `tierflow up clusters/demo.yaml`")
