"""What one Ray node is started with, and the command that starts it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tierflow.topology import NODE, SITE, TIER

__all__ = ["HEAD_PORT", "JOB_PORT", "NodeStart"]

HEAD_PORT = 6379
JOB_PORT = 8265
ISLAND_ADDRESS, ISLAND_PORT = "127.77.0.1", 6381
"""Where the Ray of a node that cannot reach the head listens. Ray takes any loopback address but 127.0.0.1."""
RIG_OBJECT_STORE = 200 * 2**20


@dataclass(frozen=True, slots=True)
class NodeStart:
    """One Ray node: who it is, where its head is, what it offers.

    Attributes:
        head: ``address:port`` of the head; for the head itself, where it listens.
        address: the address that other nodes reach this one at; empty lets Ray find it.
        memory: bytes for workers, and object_store: bytes of shared memory; None leaves both to Ray.
        folder: where Ray keeps this node's sockets and logs; empty is Ray's own ``/tmp/ray``. Ray puts sockets in it,
            whose paths may have 107 bytes at most: keep it short.
        dashboard: the port of the dashboard and of the job API, on the head; 0: there is none.
    """

    name: str
    tier: str
    site: str
    head: str
    is_head: bool = False
    address: str = ""
    cpus: float = 1.0
    gpus: float = 0.0
    memory: int | None = None
    object_store: int | None = None
    folder: str = ""
    dashboard: int = JOB_PORT

    def labels(self) -> Mapping[str, str]:
        """The labels that placement goes by."""
        return {TIER: self.tier, SITE: self.site, NODE: self.name}

    def argv(self) -> list[str]:
        """The ``ray start --block`` command (https://docs.ray.io/en/latest/cluster/cli.html#ray-start)."""
        options: dict[str, object] = {
            "node-name": self.name,
            "num-cpus": f"{self.cpus:g}",
            "num-gpus": f"{self.gpus:g}",
            "resources": json.dumps({self.tier: self.cpus}),
            "labels": ",".join(f"{key}={value}" for key, value in self.labels().items()),
            "node-ip-address": self.address,
            "memory": self.memory or "",
            "object-store-memory": self.object_store or "",
            "temp-dir": self.folder,
        }
        if self.is_head:
            options |= {"port": self.head.rpartition(":")[2], "dashboard-host": "127.0.0.1"}
            options |= {"dashboard-port": self.dashboard or "", "include-dashboard": json.dumps(self.dashboard > 0)}
        else:
            options |= {"address": self.head}
        flags = [f"--{name}={value}" for name, value in options.items() if value != ""]
        head = ["--head"] if self.is_head else []
        ray = _RAY if self.is_head else [*_SUCCEED, self.name, self.address, self.head]
        return [*ray, "start", *head, "--block", "--disable-usage-stats", "--log-style=record", *flags]

    def island(self) -> NodeStart:
        """The same node as a Ray of its own, which nothing outside this machine reaches."""
        address = self.address if self.address.startswith("127.") else ISLAND_ADDRESS
        folder = f"{self.folder or '/tmp/ray'}i"
        place = f"{address}:{ISLAND_PORT}"
        return replace(self, head=place, is_head=True, address=address, folder=folder, dashboard=0)

    def forget_head(self) -> None:
        """Remove Ray's note of the head that ran here last.

        Where it is there and any process of the machine (another host's on the rig) was started with the head's
        address, Ray takes the head to be running and does not start it.
        """
        (Path(self.folder or "/tmp/ray") / "ray_current_cluster").unlink(missing_ok=True)

    def save(self, path: Path) -> Path:
        """Write it where ``read`` finds it."""
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def read(cls, path: Path) -> NodeStart:
        """What ``save`` wrote."""
        return cls(**json.loads(path.read_text()))


_RAY = (sys.executable, "-c", "import sys; from ray.scripts.scripts import main; sys.argv[0] = 'ray'; sys.exit(main())")
_SUCCEED = (sys.executable, "-m", "tierflow.runtime.incarnation")
"""Of the head's earlier life the GCS takes care itself."""
