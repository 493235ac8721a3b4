"""`tierflow restart`: start nodes again one by one, those of a fabric that was started on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tierflow.errors import FabricError
from tierflow.runtime import launch
from tierflow.runtime.node import NodeStart
from tierflow.runtime.record import FabricRecord

__all__ = ["Step", "in_order", "restart"]


@dataclass(frozen=True, slots=True)
class Step:
    """What has happened to a node, and how many seconds after it was sent off.

    `what` is "starting" (its supervisor, which was gone), "draining", "away" (`number`: of tasks that still ran),
    "lost" (of actors that do not come back: their max_restarts is 0), "joined", "back" (of actors), or "missing" (of
    actors that were not back in time; -1: the node itself was not).
    """

    node: str
    what: str
    number: int
    after: float = 0.0


def in_order(record: FabricRecord) -> list[str]:
    """Every living node of the fabric and every node of this machine: the head last, as the others join through it.

    Raises:
        FabricError: the head does not answer.
    """
    head = record.spec().head.name
    alive = {member.name for member in record.head_interface().members() if member.alive}
    return [*sorted((alive | record.supervisors.keys()) - {head}), head]


def restart(record: FabricRecord, names: Sequence[str], *, drain: float, within: float) -> Iterator[Step]:
    """Restart these nodes one after the other, each when the one before it is back with its actors and its agent.

    A node of this machine whose supervisor is gone is started; one of another machine has to be a member, whose own
    supervisor starts it. The others go on meanwhile.

    Args:
        record: the fabric.
        names: the nodes.
        drain: for how long (s) at most tasks that run on a node are waited for, before it ends.
        within: how long (s) a node may be away.

    Raises:
        FabricError: one did not come back in time (those after it are not touched), or is not to be found.
    """
    head = NodeStart.read(Path(record.state) / f"{record.spec().head.name}.json")
    for name in names:
        off = name in record.supervisors and not launch.is_watched(record, name)
        if off:
            record = launch.boot(record, name)
            yield Step(name, "starting", 0)
        last = None
        for last in _rolling(record, head, name, "-" if off else f"{drain:g}", within):
            yield last
        if last is None or last.what != "back":
            raise FabricError(
                f"{name} did not come back within {within:g} s",
                f"see `tierflow status` and its log ({Path(record.state) / name}.log, or its service's); "
                "nodes after it were not restarted",
            )


def _rolling(record: FabricRecord, head: NodeStart, name: str, drain: str, within: float) -> Iterator[Step]:
    command = [sys.executable, "-m", "tierflow.runtime.rolling", drain, str(within), record.head, name]
    host = launch.host_of(record, head)
    with host.popen(command, env=launch.driver_environment(record), stdout=subprocess.PIPE) as process:
        try:
            for line in process.stdout or ():
                yield Step(*json.loads(line))
        finally:
            process.kill()
