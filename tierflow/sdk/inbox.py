"""What arrived of outboxes: each record once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tierflow.sdk.fabric import get
from tierflow.sdk.outbox import check_name
from tierflow.sdk.releasing import leaving

if TYPE_CHECKING:
    from tierflow.runtime.receiving import Arrived

__all__ = ["Inbox"]

S = TypeVar("S")


class Inbox:
    """Where the records of all outboxes of this name arrive: one actor, with a durable store of its own, on one node.

    A batch that arrives is applied and its mark moved in one transaction, so a record that is sent twice is applied
    once. What was applied stays until `forget`.

    Args:
        name: the outboxes' name.
        node: the node that keeps it, when it is opened for the first time; this process's own by default.
        encrypt: seal values on the disk, as an `Outbox` does.

    Raises:
        OptionError: a name that can't be.
        FabricError: this process is in no fabric and finds none.
    """

    def __init__(self, name: str, *, node: str | None = None, encrypt: bool = False) -> None:
        check_name(name)
        from tierflow.runtime.boxes import node_here
        from tierflow.runtime.receiving import open_inbox

        here = node_here()  # it also joins the fabric
        self.name = name
        self._actor: Any = open_inbox(name, node or here, encrypt=encrypt)

    def read(self, after: int = 0, limit: int = 1000) -> list[Arrived]:
        """Up to `limit` records that were applied after the number `after`, in order.

        Raises:
            StoreError: the store cannot be read. (And Ray's errors, where the actor is not reached.)
        """
        return cast("list[Arrived]", self._asked("read", after, limit))

    def forget(self, upto: int) -> int:
        """Delete the records up to a number; how many that were. They are not applied again."""
        return cast("int", self._asked("forget", upto))

    def fold(self, function: Callable[[S, Arrived], S], start: S, *, name: str = "") -> S:
        """Apply a function once to each record that it has not seen, and keep the state that it returns.

        ``inbox.fold(lambda total, record: total + record.value, 0)``. The state and how far it came are written in one
        transaction, so each record has its part in it exactly once, whatever fails in between. The function runs in the
        inbox's actor; what it does besides returning a state may happen again.

        Args:
            function: takes the state and a record, returns the new state: anything that an outbox can carry.
            start: the state before the first record.
            name: tells several functions apart.

        Raises:
            StayRefused: who asks has read what may not leave its device or site, and does not release it: the function
                may hold of it, and the inbox serves everybody.
        """
        leaving(f"the inbox {self.name!r}")
        return cast("S", self._asked("fold", name, function, start))

    def _asked(self, method: str, *args: Any) -> Any:
        from tierflow.runtime.hook import quiet

        with quiet():  # numbers that are no data, or what was released
            answer = getattr(self._actor, method).remote(*args)
        return get(answer)
