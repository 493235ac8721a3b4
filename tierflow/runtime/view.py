"""A node's view, as a file: written by its heartbeat when it changes, read by its processes for the price of a stat."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tierflow.control import Report
from tierflow.control.reach import Peer
from tierflow.runtime.cache import write_whole

__all__ = ["Reach", "ViewFile", "kept_reports", "view_file", "write_view"]

LOOK = 0.05
"""Seconds between two looks at whether the file has changed."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The nodes that are cut off from this one, each with the second since 1970 from which on that is known."""

    version: int = 0
    cut: Mapping[str, float] = field(default_factory=dict)


def view_file(folder: Path) -> Path:
    """The file of a node's view in the node's folder."""
    return folder / "view.json"


def write_view(file: Path, reach: Reach, reports: Sequence[Report]) -> None:
    """Write a view, and what the node knows of the others, for its next life. Raises `OSError`."""
    rows = [
        {"name": r.peer.name, "tier": r.peer.tier, "site": r.peer.site, "address": r.peer.address, "life": r.life}
        for r in reports
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps({"version": reach.version, "cut": dict(reach.cut), "nodes": rows}))


def kept_reports(file: Path) -> tuple[Report, ...]:
    """The nodes of a view that was written, this one too, as reports that any newer one replaces."""
    nodes = _read(file).get("nodes", ())
    return tuple(
        Report(Peer(row["name"], row["tier"], row["site"], row["address"]), int(row["life"]), -1) for row in nodes
    )


class ViewFile:
    """A view that others write."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._due, self._stamp = float("-inf"), (0, 0)
        self._reach = Reach()

    def latest(self) -> Reach:
        """The view, .05 s old at the most; the same object until it changes. Without a file nothing is cut."""
        now = self._clock()
        if now >= self._due:
            self._due = now + LOOK
            try:
                found = self._file.stat()
            except OSError:
                return self._reach
            if (found.st_mtime_ns, found.st_ino) != self._stamp:
                self._stamp = found.st_mtime_ns, found.st_ino
                text = _read(self._file)
                self._reach = Reach(int(text.get("version", 0)), text.get("cut", {}))
        return self._reach


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found
