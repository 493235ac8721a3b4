"""Join a fabric from a real machine: the foreground process, its systemd unit, and the command to type."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from tierflow.runtime.node import NodeStart
from tierflow.runtime.record import FabricRecord, node_folder, state_folder
from tierflow.runtime.settings import FABRIC, NODE_FOLDER, child_environment, ray_environment, read_token
from tierflow.runtime.supervise import Supervisor
from tierflow.topology import NodeSpec
from tierflow.units import show_size

__all__ = ["join_command", "systemd_unit", "watch"]


JOINED = "joined"
"""Stands for the fabric in the folders of a machine that joined one: its name is known to the head only."""


def watch(start: NodeStart, token: Path) -> Supervisor:
    """A supervisor for this machine's Ray node; ``run`` it.

    Raises:
        FabricError: the token cannot be read.
    """
    read_token(token)
    state = Path(os.environ.get(FABRIC) or state_folder(JOINED))
    own = {FABRIC: str(state), NODE_FOLDER: str(node_folder(state, start.name))}
    return Supervisor(start, child_environment(ray_environment(token) | own))


def join_command(record: FabricRecord, node: NodeSpec) -> str:
    """What to type on the machine of ``node``, once the token file was copied there."""
    words = ["tierflow", "join", "--head", record.head, "--tier", node.tier, "--site", node.site, "--name", node.name]
    words += ["--cpus", str(node.cpus), "--token-file", "token"]
    words += ["--gpus", str(node.gpus)] if node.gpus else []
    words += ["--memory", show_size(node.memory)] if node.memory else []
    words += ["--address", node.address] if node.address else []
    return shlex.join(words)


def systemd_unit(start: NodeStart, token: Path) -> str:
    """A unit file that keeps the node joined (systemd.service(5)); it holds the token's path, never the token."""
    words = [sys.executable, "-m", "tierflow", "join", "--head", start.head, "--tier", start.tier]
    words += ["--site", start.site, "--name", start.name, "--token-file", str(token), "--cpus", f"{start.cpus:g}"]
    words += ["--gpus", f"{start.gpus:g}"] if start.gpus else []
    words += ["--memory", f"{start.memory} B"] if start.memory else []
    words += ["--address", start.address] if start.address else []
    words += ["--temp-dir", start.folder] if start.folder else []
    return f"""\
[Unit]
Description=tierflow node {start.name} ({start.tier}, {start.site})
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart={shlex.join(words)}
Restart=always
RestartSec=5
KillMode=control-group

[Install]
WantedBy=multi-user.target
"""
