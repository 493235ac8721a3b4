"""Join a fabric from a real machine: the foreground process, its systemd unit, and the command to type."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from tierflow.runtime.cache import write_whole
from tierflow.runtime.door import DOOR_PORT
from tierflow.runtime.entry import enter, read_join_token
from tierflow.runtime.grants import Grants
from tierflow.runtime.node import NodeStart
from tierflow.runtime.record import FabricRecord, make_private, ray_folder
from tierflow.runtime.settings import child_environment
from tierflow.runtime.supervise import Supervisor
from tierflow.topology import NodeSpec
from tierflow.trust import JoinToken
from tierflow.units import show_size

__all__ = ["DECLARED_FOR", "JoiningMachine", "door_of", "join_command", "systemd_unit"]

DECLARED_FOR = 7 * 86400.0
"""Seconds for which the tokens that `up` makes for declared machines are good."""


@dataclass(frozen=True, slots=True)
class JoiningMachine:
    """What a machine that joins says of itself; tier and site come from its join token.

    `name` may be empty where the token names the node, `address` where Ray and the door see the same one. The others
    are as in `NodeStart`.
    """

    token: Path
    name: str = ""
    address: str = ""
    cpus: float = 1.0
    gpus: float = 0.0
    memory: int | None = None
    folder: str = ""

    def watch(self) -> Supervisor:
        """Show the token and return a supervisor for this machine's Ray node; ``run`` it.

        It shows the node's own token before each start, so that what was revoked ends and what was renewed is used.

        Raises:
            TrustError: the token cannot be read or is refused.
            FabricError: the head cannot be reached.
        """
        text = read_join_token(self.token)
        got = enter(text, self.name, self.address)
        name = got.claim.name
        folder = Path(self.folder or ray_folder(got.fabric, name))
        make_private(folder)
        start = NodeStart(
            name=name, tier=got.claim.tier, site=got.claim.site, head=got.head, address=got.claim.address,
            cpus=self.cpus, gpus=self.gpus, memory=self.memory, folder=str(folder),
        )  # fmt: skip
        environment = child_environment(got.environment())
        return Supervisor(start, environment, lambda: enter(text, name, self.address))


def door_of(record: FabricRecord) -> str:
    """``address:port`` of a fabric's door."""
    return f"{record.head.rpartition(':')[0]}:{DOOR_PORT}"


def join_command(record: FabricRecord, node: NodeSpec) -> str:
    """What to type on the machine of ``node``, once its token was copied there; the token is made, in the state."""
    token = Path(record.state) / f"{node.name}.token"
    place = (node.tier, node.site)
    write_whole(token, Grants(Path(record.state)).make(record.spec(), door_of(record), place, node.name, DECLARED_FOR))
    words = ["tierflow", "join", "--token-file", token.name, "--cpus", str(node.cpus)]
    words += ["--gpus", str(node.gpus)] if node.gpus else []
    words += ["--memory", show_size(node.memory)] if node.memory else []
    words += ["--address", node.address] if node.address else []
    return shlex.join(words)


def systemd_unit(machine: JoiningMachine) -> str:
    """A unit file that keeps the node joined (systemd.service(5)); it holds the token's path, never the token."""
    said = JoinToken.read(read_join_token(machine.token))
    words = [
        sys.executable,
        "-m",
        "tierflow",
        "join",
        "--token-file",
        str(machine.token),
        "--cpus",
        f"{machine.cpus:g}",
    ]
    words += ["--name", machine.name] if machine.name else []
    words += ["--gpus", f"{machine.gpus:g}"] if machine.gpus else []
    words += ["--memory", f"{machine.memory} B"] if machine.memory else []
    words += ["--address", machine.address] if machine.address else []
    words += ["--temp-dir", machine.folder] if machine.folder else []
    return f"""\
[Unit]
Description=tierflow node {machine.name or said.name} ({said.tier}, {said.site})
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
StateDirectory=tierflow
StateDirectoryMode=0700
Environment=TIERFLOW_STATE=/var/lib/tierflow
ExecStart={shlex.join(words)}
Restart=always
RestartSec=5
KillMode=control-group

[Install]
WantedBy=multi-user.target
"""
