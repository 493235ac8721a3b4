"""Records that must not be lost: on the disk of the node before they are acknowledged, sent when the link allows."""

from __future__ import annotations

import functools
import re
import time
from typing import TYPE_CHECKING, Any

from tierflow.errors import OptionError
from tierflow.sdk.releasing import leaving
from tierflow.units import size

if TYPE_CHECKING:
    from tierflow.control.quota import WhenFull
    from tierflow.runtime.durable.outbox import Backlog, OutboxStore

__all__ = ["Outbox", "check_name"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")
_LOOK = 0.05


class Outbox:
    """Records of this node that wait for the inbox of the same name.

    `put` returns when the record is on the disk (fsync); from then on it outlives this process, a loss of power and any
    cut. The node's sender, an actor of its own, sends it to ``tierflow.Inbox(name)``, where it is applied exactly
    once, in order of each key. Any process of the node may open the same outbox; one that is handed to a task or an
    actor is the outbox of the node where that runs. With no fabric records are kept in the same way, and wait.

    Args:
        name: 1 to 24 of a-z, 0-9 and "-".
        limit: bytes that may wait ("64 MB"), 128 for each record included; the files take up to a few MB more.
        when_full: "oldest" and "lowest priority" drop such records, "sampled down" every second one of the older half;
            each drop is counted in `backlog`. "refuse" lets `put` raise `OutboxFull`.
        encrypt: seal values on the disk, with a key in a file of the node that only its owner may read. Keys,
            priorities and times are not sealed. An outbox that was sealed once stays so.

    Raises:
        OptionError: a name, limit or policy that can't be.
    """

    def __init__(
        self, name: str, *, limit: str | int = "64 MB", when_full: WhenFull = "oldest", encrypt: bool = False
    ) -> None:
        from tierflow.control.quota import POLICIES

        check_name(name)
        if when_full not in POLICIES:
            raise OptionError("when_full", f"{when_full!r} is none of its values", f"say one of {', '.join(POLICIES)}")
        self.name, self.when_full, self.encrypt = name, when_full, encrypt
        self.limit = size(limit) if isinstance(limit, str) else limit
        if self.limit <= 0:
            raise OptionError("limit", f"{limit!r} holds nothing", "say how much may wait, like '64 MB'")

    def __reduce__(self) -> tuple[Any, ...]:
        return _outbox, (self.name, self.limit, self.when_full, self.encrypt)

    def put(self, value: Any, key: str = "", priority: int = 0) -> int:
        """Keep a value; it is on the disk when this returns. Its number in this outbox.

        Args:
            value: bytes, text, JSON (dict, list, numbers), an Arrow table or record batch, a numpy array, a tensor.
            key: records of one key are applied in the order of their puts.
            priority: higher ones are sent first; before an urgent record go the earlier ones of its key.

        Raises:
            OutboxFull: there is no room, by the limit and its policy or on the disk. What was there is still.
            PayloadError: the value is of no type that can be kept.
            StoreError: the store cannot be used, or its key is another.
            StayRefused: who puts it has read what may not leave its device or site, and does not release it.
        """
        from tierflow.exchange import freeze

        leaving(f"the outbox {self.name!r}")
        return self._store.put(freeze(value), key, priority)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits, for `timeout` seconds at the most (None: for ever); whether that is so."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.backlog.records:
            if until is not None and time.monotonic() >= until:
                return False
            time.sleep(_LOOK)
        return True

    @property
    def backlog(self) -> Backlog:
        """How many records wait, their bytes, seconds since the oldest; and what was dropped or lost to damage."""
        return self._store.backlog()

    @functools.cached_property
    def _store(self) -> OutboxStore:
        from tierflow.runtime.boxes import key_file, outbox_folder, own_folder
        from tierflow.runtime.durable.outbox import OutboxStore

        node = own_folder()
        key = key_file(node) if self.encrypt else None
        return OutboxStore(outbox_folder(node, self.name), self.limit, self.when_full, key)


def check_name(name: str) -> None:
    """Raises `OptionError` for what can't be the name of an outbox, an inbox or something published."""
    if not _NAME.fullmatch(name):
        raise OptionError("name", f"{name!r} can't be one", 'take 1 to 24 of a-z, 0-9 and "-"')


def _outbox(name: str, limit: int, when_full: WhenFull, encrypt: bool) -> Outbox:
    return Outbox(name, limit=limit, when_full=when_full, encrypt=encrypt)
