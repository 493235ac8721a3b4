"""Links by a virtual clock: how long bytes take between nodes, and how many went over each link."""

from __future__ import annotations

from collections import Counter

from tierflow.errors import FabricError
from tierflow.topology import Topology

__all__ = ["Network"]


class Network:
    """Transfers over a topology. A transfer takes its path's delays and its bytes at the path's lowest rate.

    Transfers do not slow each other down: this is for the logic of a program; the rig is for its speed.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self.sent: Counter[str] = Counter()
        """Bytes so far, by link name."""

    def time(self, source: str, target: str, size: int) -> float:
        """Seconds that `size` bytes take from one node to another; none within a node.

        Raises:
            FabricError: no path leads there.
        """
        links = [self._topology.links[index] for index in self._path(source, target)]
        if not links:
            return 0.0
        return sum(link.delay for link in links) + size / min(link.rate for link in links)

    def send(self, source: str, target: str, size: int) -> float:
        """As `time`, and the bytes are counted."""
        for index in self._path(source, target):
            self.sent[self._topology.links[index].name] += size
        return self.time(source, target, size)

    def _path(self, source: str, target: str) -> tuple[int, ...]:
        path = self._topology.path(source, target)
        if path is None:
            raise FabricError(f"no link leads from {source} to {target}", "declare one in the cluster file")
        return path
