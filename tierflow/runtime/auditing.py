"""The audit logs of a fabric's nodes, as the head sees them: read where they are on its disk, asked for elsewhere.

``python -m tierflow.runtime.auditing`` asks the agents of all nodes, from a process that joins the fabric.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tierflow.errors import FabricError
from tierflow.runtime.audit import AuditLog, read_ends, write_ends
from tierflow.runtime.launch import driver_environment
from tierflow.runtime.record import FabricRecord, node_folder
from tierflow.trust import End, broken, end_of

__all__ = ["NodeAudit", "node_audits"]

SEEN = "audit.seen"
"""The file, in a fabric's state, of how far each log went when it was last looked at from the head."""
PATIENCE = 60.0
"""Seconds that the nodes of other machines have to answer."""
Log = tuple[Sequence[bytes], End]


@dataclass(frozen=True, slots=True)
class NodeAudit:
    """The entries of one node's log, oldest first, and what is wrong with it; None: nothing."""

    node: str
    entries: tuple[Mapping[str, Any], ...]
    problem: str | None


def node_audits(record: FabricRecord, node: str | None = None) -> list[NodeAudit]:
    """The logs of all nodes, or of one, held against how far they went when they were last looked at from here.

    Raises:
        FabricError: the fabric has no such node.
        StoreError: a log cannot be read.
    """
    state, logs = Path(record.state), _logs(record)
    if node is not None and node not in logs:
        raise FabricError(f"the fabric {record.name} has no node {node!r}", f"there are: {', '.join(sorted(logs))}")
    seen = read_ends(state / SEEN)
    found = []
    for name, log in sorted(logs.items()):
        if node not in (None, name):
            continue
        if log is None:
            found.append(NodeAudit(name, (), "it does not answer"))
            continue
        lines, last = log
        problem = broken(lines, (last, seen.get(name, End())))
        found.append(NodeAudit(name, tuple(_entry(line) for line in lines), problem))
        if problem is None and lines:
            seen[name] = end_of(lines[-1])
    with suppress(OSError):
        write_ends(state / SEEN, seen)
    return found


def _entry(line: bytes) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    return row if isinstance(row, dict) else {"what": "damaged"}


def _logs(record: FabricRecord) -> dict[str, Log | None]:
    """By node; None of one that does not answer."""
    state = Path(record.state)
    names = {node.name for node in record.spec().nodes} | {path.name for path in (state / "nodes").glob("*/")}
    here = {name for name in names if name in record.supervisors or node_folder(state, name).exists()}
    logs: dict[str, Log | None] = {name: AuditLog(node_folder(state, name)).settled() for name in here}
    if names == here and record.hosts != "machines":
        return logs
    command = [sys.executable, "-m", "tierflow.runtime.auditing"]
    with suppress(subprocess.SubprocessError, ValueError):
        done = subprocess.run(
            command, env=driver_environment(record), capture_output=True, timeout=PATIENCE, check=True
        )
        asked = json.loads(done.stdout.splitlines()[-1])
        return dict.fromkeys(names) | {name: _log(row) for name, row in asked.items()} | logs
    return dict.fromkeys(names) | logs


def _log(row: Any) -> Log | None:
    return None if row is None else ([line.encode() for line in row["lines"]], End(**row["end"]))


def main() -> None:
    """See the module."""
    import ray

    from tierflow.runtime.beside import agent_of
    from tierflow.runtime.calls import connect
    from tierflow.runtime.membership import read_members

    connect(log_to_driver=False)
    told: dict[str, Any] = {}
    for member in read_members():
        told[member.name] = None
        with suppress(ValueError, ray.exceptions.RayError):
            lines, end = ray.get(agent_of(member.name).audit.remote(), timeout=PATIENCE / 4)
            told[member.name] = {"lines": [line.decode(errors="replace") for line in lines], "end": asdict(end)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
