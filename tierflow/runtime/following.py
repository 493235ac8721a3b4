"""The follower of a node: one actor that fetches new versions of what the node follows, whoever reads them.

The node's agent starts it once the node follows something, so that it goes on when the process that asked is dead.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

from tierflow.control.outbox import delay
from tierflow.errors import StoreError
from tierflow.runtime.beside import Own
from tierflow.runtime.boxes import followed, followed_folder
from tierflow.runtime.durable.versions import Chunk, VersionStore
from tierflow.runtime.publishing import find_publisher
from tierflow.runtime.view import ViewFile, view_file

__all__ = ["Follower"]

log = logging.getLogger("tierflow.follow")

NEW = 0.5
"""Seconds between two looks at whether the node follows something else, or a cut has healed."""
LONG = 60.0
"""Seconds that the publisher waits for a newer version before it says that there is none: all an idle link carries."""
AT_ONCE = 1 << 18
"""Bytes of chunks that are asked for at once, at the most: what else waits for the link waits no longer for it."""
PATIENCE, SLOWEST = 30.0, 10_000.0
"""An answer may take so many seconds, and the time that its bytes take at so many bytes per second."""


class Follower(Own):
    """Follows for the node `node`, whose folder is `folder`; a plain class, of which Ray makes an actor."""

    def __init__(self, node: str, folder: str) -> None:
        self._node, self._folder = node, Path(folder)
        self._at_work: set[str] = set()
        threading.Thread(target=self._run, name="tierflow-follow", daemon=True).start()

    def at_work(self) -> list[str]:
        """What it follows."""
        return sorted(self._at_work)

    def _run(self) -> None:
        while True:
            for name in followed(self._folder):
                if name not in self._at_work:
                    self._at_work.add(name)
                    run = _Channel(self._node, name, self._folder).run
                    threading.Thread(target=run, name=f"tierflow-follow-{name}", daemon=True).start()
            time.sleep(NEW)


class _Gone(Exception):
    """The publisher was cut off, or does not answer in time."""


class _Channel:
    """One name on its way to this node."""

    def __init__(self, node: str, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._view = ViewFile(view_file(folder))
        self._chance = random.Random(f"{node}/{name}")
        self._publisher: tuple[Any, str] | None = None

    def run(self) -> None:
        """Follow for ever."""
        failures = 0
        while True:
            try:
                self._once(VersionStore(followed_folder(self._folder, self._name)))
                failures = 0
            except Exception as error:  # the thread must go on whatever the disk or Ray says
                said = str(error).strip().partition("\n")[0]
                log.log(logging.WARNING if isinstance(error, StoreError) else logging.INFO, "%s: %s", self._name, said)
                if not isinstance(error, ray.exceptions.ActorUnavailableError | StoreError):
                    self._publisher = None
                time.sleep(delay(failures, self._chance.random()))
                failures += 1

    def _once(self, store: VersionStore) -> None:
        """Fetch the newest version, or what is missing of the one that is here; what has arrived stays, if it fails."""
        if self._publisher is None:
            self._publisher = find_publisher(self._name)
        while self._is_cut():
            time.sleep(NEW)
        actor, _ = self._publisher
        wanted = store.newest()
        if wanted is None or not store.missing(wanted):
            wanted = self._get(actor.beyond.remote(store.floor(), LONG), LONG + PATIENCE)
        if wanted is None:
            return
        while (missing := store.missing(wanted)) and self._fetch(actor, store, _some(missing)):
            pass
        if store.take(wanted):
            log.info("%s: version %d is here", self._name, wanted.version)

    def _fetch(self, actor: Any, store: VersionStore, wanted: Sequence[Chunk]) -> bool:
        """Whether all of these arrived; the publisher has those of its newest version only."""
        size = sum(size for _, size in wanted)
        digests = [digest for digest, _ in wanted]
        parts = self._get(actor.chunks.remote(digests), PATIENCE + size / SLOWEST)
        arrived = [part is not None and store.add(digest, part) for digest, part in zip(digests, parts, strict=True)]
        return all(arrived)

    def _get(self, ref: Any, patience: float) -> Any:
        """The answer. Raises `_Gone`, and Ray's errors."""
        until = time.monotonic() + patience
        while not ray.wait([ref], timeout=NEW)[0]:
            if self._is_cut() or time.monotonic() > until:
                raise _Gone("its publisher is cut off" if self._is_cut() else "its publisher does not answer")
        return ray.get(ref)

    def _is_cut(self) -> bool:
        return self._publisher is not None and self._publisher[1] in self._view.latest().cut


def _some(missing: Sequence[Chunk]) -> list[Chunk]:
    """As many from the front as may be asked for at once; one in any case."""
    found, total = [missing[0]], missing[0][1]
    for chunk in missing[1:]:
        total += chunk[1]
        if total > AT_ONCE:
            break
        found.append(chunk)
    return found
