"""What every Ray process of a fabric is told by its environment: the token, the cut-tolerant settings, the marks.

Ray's defaults declare a node dead 60 s after its link is cut, and its raylet ends itself when the link heals. With the
settings here a cut node stays a member: calls to it fail within seconds, and work on its own side goes on. They are
Ray's own (``RAY_<name>`` overrides an entry of ``ray_config_def.h``), and head and nodes must agree on them.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from tierflow.cost.chunks import chunk_size, window
from tierflow.errors import FabricError
from tierflow.runtime.tcp import is_tuned
from tierflow.topology import Topology

__all__ = [
    "FABRIC",
    "ISLAND",
    "NODE_FOLDER",
    "PATIENT",
    "RIG",
    "SELDOM",
    "TOKEN_PATH",
    "child_environment",
    "head_environment",
    "make_token",
    "ray_environment",
    "read_token",
    "transfer_environment",
]

FABRIC = "TIERFLOW_FABRIC"
"""Names the state folder of the fabric that a process belongs to; ``down`` finds processes by it."""

RIG = "TIERFLOW_RIG"
"""Names the folder of the rig's control socket, where the links are shaped by one."""

TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"
"""Names the file that holds the fabric's token."""

NODE_FOLDER = "TIERFLOW_NODE"
"""Names the folder that the node of a process keeps on its own disk, see `record.node_folder`."""

ISLAND = "TIERFLOW_ISLAND"
"""Is there in the processes of an island, see `runtime.residents`."""

CUT_TOLERANT: Mapping[str, str] = {
    "RAY_health_check_failure_threshold": "100000",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "36000",
    "RAY_gcs_server_request_timeout_seconds": "3600",
    "RAY_grpc_client_keepalive_time_ms": "2000",
    "RAY_grpc_client_keepalive_timeout_ms": "3000",
    "RAY_grpc_keepalive_time_ms": "2000",
    "RAY_grpc_keepalive_timeout_ms": "3000",
}

PATIENT: Mapping[str, str] = {
    "RAY_grpc_client_keepalive_time_ms": "60000",
    "RAY_grpc_client_keepalive_timeout_ms": "150000",
    "RAY_grpc_keepalive_time_ms": "60000",
    "RAY_grpc_keepalive_timeout_ms": "150000",
    "RAY_object_manager_pull_timeout_ms": "120000",
}
"""Where TCP tries again each second (`runtime.tcp`), connections are to outlast a cut.

gRPC gives a socket the keepalive's timeout as TCP_USER_TIMEOUT, also while it connects: with 3 s an attempt during a
cut is over after 3 s, and the wait to the next one grows 1.6-fold to 120 s. That was what calls waited for after a heal
(12 to 14 s after a cut of 60 s). An attempt that may take longer than the longest wait (144 s with its jitter) is under
way all the time, and connects within a second of the heal. So a node need not ask again for an object that is still
coming: at Ray's 10 s it does, all chunks are sent once more, and what takes 20 s on a slow link crosses it twice.
"""

SELDOM: Mapping[str, str] = {"RAY_grpc_keepalive_time_ms": "600000"}
"""For the registry and the agents: what they serve is not for the sake of finding cuts, and pings are most of what they
send. Only the server's side: a server refuses clients ("Too many pings") that ping more often than it would as a client
(``grpc_server.cc``), so those settings must agree everywhere.
"""

QUIET: Mapping[str, str] = {"REPORTER_UPDATE_INTERVAL_MS": "600000"}
"""How seldom a node sends the dashboard what each of its processes takes.

At Ray's 5 s this is nine tenths of what an idle node sends: 45 of 50 kbit/s on the demo's links, and 6.3 kbit/s more
for each worker that is there, such as the node agent. At 600 s a worker's part is .05 kbit/s. The dashboard's numbers
of CPU and memory are as old; members, actors, tasks and jobs are not part of it.
"""


def ray_environment(token: Path, *, patient: bool | None = None) -> dict[str, str]:
    """What Ray must find in the environment of the head, each node, each driver and each job client.

    `patient` says whether the TCP of those hosts tries again each second; None: whether that of this host does.
    """
    return {
        **CUT_TOLERANT,
        **(PATIENT if (is_tuned() if patient is None else patient) else {}),
        **QUIET,
        "RAY_AUTH_MODE": "token",
        TOKEN_PATH: str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def transfer_environment(topology: Topology, node: str) -> dict[str, str]:
    """How Ray on a node cuts up large objects, see `cost.chunks`; nothing where its own way is as good."""
    size = chunk_size(topology)
    if size is None:
        return {}
    most = window(topology, node, size)
    at_once = {} if most is None else {"RAY_object_manager_max_bytes_in_flight": str(most)}
    return {"RAY_object_manager_default_chunk_size": str(size), **at_once}


def head_environment(gcs: Path) -> dict[str, str]:
    """What the head is told besides: that its GCS keeps its state (jobs, actors, nodes, names) in the folder ``gcs``.

    See https://github.com/ray-project/enhancements/pull/64. The node's other processes inherit it and take no notice.
    """
    return {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(gcs)}


def child_environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that the fabric starts: this one's, with ``own`` over it.

    Another cluster's address or token is dropped, and this interpreter's scripts come first on the path, so that
    ``python`` in a job's entrypoint is the Python that runs the fabric.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, **own}


def make_token(path: Path) -> Path:
    """Write a new random token, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    return path


def read_token(path: Path) -> str:
    """The token in the file at ``path``.

    Raises:
        FabricError: there is no such file, or nothing in it.
    """
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FabricError(
            f"the token file {path} cannot be read ({error})",
            "it is made by `tierflow up`; take the fabric down and start it again",
        ) from error
    if not token:
        raise FabricError(f"the token file {path} is empty", "take the fabric down and start it again")
    return token
