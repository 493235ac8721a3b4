"""Inboxes in the fabric: an actor of that name on the node that has its store."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tierflow.exchange import freeze, thaw
from tierflow.runtime import beside
from tierflow.runtime.boxes import inbox_folder, key_file, own_folder
from tierflow.runtime.durable.inbox import Answer, Batch, InboxStore, Stored
from tierflow.runtime.hook import quiet

__all__ = ["Arrived", "Receiver", "find", "open_inbox"]

AT_ONCE = 1000
"""Records that are handed to a function in one transaction."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record that was applied.

    Attributes:
        number: counts what was applied in this inbox, from 1, in order.
        source: the node that it was put on; seq: the number that `put` gave it there; key, priority: as they were put.
        at: Unix time of its arrival by the receiver's clock, for display only.
        value: what was put.
    """

    number: int
    source: str
    seq: int
    key: str
    priority: int
    at: float
    value: Any


class Receiver(beside.Own):
    """The inbox `name` of the node called `node`; a plain class, of which Ray makes an actor."""

    def __init__(self, name: str, node: str, encrypt: bool) -> None:
        self._name, self._node, self._encrypt = name, node, encrypt

    @functools.cached_property
    def _store(self) -> InboxStore:
        """Opened by the first call that can: an actor whose making fails is not started again by Ray."""
        folder = own_folder()
        return InboxStore(inbox_folder(folder, self._name), key_file(folder) if self._encrypt else None)

    def node(self) -> str:
        """Where it is."""
        return self._node

    def take(self, batch: Batch) -> Answer:
        """See `InboxStore.take`."""
        return self._store.take(batch)

    def read(self, after: int, limit: int) -> list[Arrived]:
        """See `InboxStore.read`."""
        return [_arrived(stored) for stored in self._store.read(after, limit)]

    def forget(self, upto: int) -> int:
        """See `InboxStore.forget`."""
        return self._store.forget(upto)

    def fold(self, name: str, function: Callable[[Any, Arrived], Any], start: Any) -> Any:
        """Hand the function all that it has not seen. See `InboxStore.fold`."""

        def advance(state: bytes | None, records: list[Stored]) -> bytes:
            value = start if state is None else thaw(state)
            for record in records:
                value = function(value, _arrived(record))
                calls.append(record.number)
            return freeze(value)

        while True:
            calls: list[int] = []
            state = self._store.fold(name, advance, AT_ONCE)
            if not calls:
                return start if state is None else thaw(state)

    def held(self) -> tuple[int, int]:
        """How many records are in it, and their bytes."""
        facts = self._store.facts()
        return facts.records, facts.size


def find(name: str) -> tuple[Any, str]:
    """The actor of an inbox, and the node that it is on; see `beside.find`."""
    return beside.find(f"inbox/{name}")


def open_inbox(name: str, node: str, *, encrypt: bool) -> Any:
    """The actor of an inbox; made on that node where there is none."""
    with quiet():  # names, and not of data
        return beside.own(Receiver, f"inbox/{name}", node).remote(name, node, encrypt)


def _arrived(stored: Stored) -> Arrived:
    value = thaw(stored.value)
    return Arrived(stored.number, stored.source, stored.seq, stored.key, stored.priority, stored.at, value)
