"""The sender of a node: one actor that sends what waits in the node's outboxes, whoever put it there.

What it does next is decided by `control.outbox`. The node's agent starts it once the node has an outbox, so that it
goes on when the process that put the records is dead.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, assert_never

import ray

from tierflow.control.outbox import (
    Action,
    Cut,
    Failed,
    Healed,
    Look,
    Renew,
    RolledBack,
    Send,
    Sending,
    Settle,
    Taken,
    Waiting,
    step,
)
from tierflow.errors import StoreError
from tierflow.runtime.beside import Own
from tierflow.runtime.boxes import outboxes
from tierflow.runtime.durable.inbox import Answer, Batch
from tierflow.runtime.durable.outbox import OutboxStore, Plan
from tierflow.runtime.receiving import find
from tierflow.runtime.view import ViewFile, view_file

__all__ = ["Sender"]

log = logging.getLogger("tierflow.outbox")

NEW = 1.0
"""Seconds between two looks at whether the node has another outbox."""
POLL = 0.05
"""Seconds between two looks at whether something was put: a stat(2) of two files."""
AGAIN = 1.0
"""Seconds to wait after trouble with the store itself."""
SURE = 30.0
"""Seconds after which the store is looked at even if its files seem unchanged."""


class Sender(Own):
    """Sends what waits on the node `node`, whose folder is `folder`; a plain class, of which Ray makes an actor."""

    def __init__(self, node: str, folder: str) -> None:
        self._node, self._folder = node, Path(folder)
        self._sending: dict[str, threading.Thread] = {}
        threading.Thread(target=self._run, name="tierflow-outboxes", daemon=True).start()

    def at_work(self) -> list[str]:
        """The outboxes that it sends from."""
        return sorted(self._sending)

    def _run(self) -> None:
        while True:
            for folder in outboxes(self._folder):
                if folder.name not in self._sending:
                    run = _Channel(self._node, folder, ViewFile(view_file(self._folder))).run
                    thread = threading.Thread(target=run, name=f"tierflow-outbox-{folder.name}", daemon=True)
                    self._sending[folder.name] = thread
                    thread.start()
            time.sleep(NEW)


class _Channel:
    """One outbox on its way to its inbox."""

    def __init__(self, node: str, folder: Path, view: ViewFile) -> None:
        self._node, self._folder, self._view = node, folder, view
        self._chance = random.Random(f"{node}/{folder.name}")
        self._state = Sending()
        self._inbox: tuple[Any, str] | None = None
        self._seen: object = None
        self._due = 0.0

    def run(self) -> None:
        """Send for ever."""
        while True:
            try:
                store = OutboxStore(self._folder)
            except StoreError as error:
                log.error("nothing is sent from the outbox %s: %s", self._folder.name, error)
                time.sleep(10 * AGAIN)
                continue
            while True:
                try:
                    self._once(store)
                except Exception as error:  # the thread must go on whatever the disk or Ray says
                    log.warning("the outbox %s: %s", self._folder.name, error)
                    self._state, _ = step(self._state, Failed(self._chance.random()), time.monotonic())
                    self._seen = None
                    time.sleep(AGAIN)

    def _once(self, store: OutboxStore) -> None:
        now = time.monotonic()
        cut = self._is_cut()
        if cut != self._state.cut:
            self._state, _ = step(self._state, Cut() if cut else Healed(), now)
            self._seen = None
        seen = _signature(store.file)
        if cut or now < self._state.until or (seen == self._seen and now < self._due):
            time.sleep(POLL)
            return
        self._seen, self._due = seen, now + SURE
        plan = store.plan()
        self._state, actions = step(self._state, Waiting(plan.rows), now)
        self._do(store, plan, actions)

    def _do(self, store: OutboxStore, plan: Plan, actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case Send(seqs, patience):
                    records = tuple(store.read(seqs))
                    batch = Batch(self._node, plan.birth, plan.floor, plan.last, records)
                    self._state, further = step(self._state, self._sent(batch, patience), time.monotonic())
                    self._do(store, plan, further)
                case Settle(seqs):
                    store.settle(plan.birth, seqs)
                case Renew():
                    store.renew()
                case Look():
                    self._seen = None
                case _:
                    assert_never(action)

    def _sent(self, batch: Batch, patience: float) -> Taken | RolledBack | Failed:
        """How it went. While the receiver is cut off nobody's patience runs out: the call may yet come through."""
        try:
            inbox, _ = self._found()
            ref = inbox.take.remote(batch)
            while patience > 0:
                ready, _ = ray.wait([ref], timeout=POLL * 4)
                if ready:
                    answer: Answer = ray.get(ref)
                    return RolledBack() if answer.rolled_back else Taken()
                if not self._is_cut():
                    patience -= POLL * 4
            return Failed(self._chance.random(), late=True)
        except (ray.exceptions.RayError, ValueError, StoreError) as error:
            log.info("the outbox %s was not sent: %s", self._folder.name, str(error).strip().partition("\n")[0])
            if not isinstance(error, ray.exceptions.ActorUnavailableError):
                self._inbox = None
            return Failed(self._chance.random())

    def _found(self) -> tuple[Any, str]:
        """The inbox and its node's name. Raises `ValueError` where there is none (yet)."""
        if self._inbox is None:
            self._inbox = find(self._folder.name)
        return self._inbox

    def _is_cut(self) -> bool:
        return self._inbox is not None and self._inbox[1] in self._view.latest().cut


def _signature(file: Path) -> object:
    """What changes with every transaction."""
    found = []
    for path in (file, file.with_name(f"{file.name}-wal"), file.parents[1]):
        with suppress(FileNotFoundError):
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found
