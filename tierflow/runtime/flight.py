"""A call from its choice on, and how it went."""

from __future__ import annotations

from dataclasses import dataclass

from tierflow.cost import Call, Codec
from tierflow.planning.account import Made, Observed
from tierflow.planning.choose import Choice
from tierflow.topology import Stay

__all__ = ["Flight", "Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """How a call went: the node that ran it, seconds in the function, bytes of the result.

    `first` is true for the first call of the function in its process, which also imported what the function needs.
    `size` is the bytes of its arguments. `packs` are the codecs that make its result smaller, and `stay` is what that
    may not leave.
    """

    node: str
    compute: float
    result: int
    size: float
    first: bool = False
    packs: tuple[Codec, ...] = ()
    stay: Stay | None = None


@dataclass(slots=True, eq=False)
class Flight:
    """A call from its choice on.

    `key` is the id of its result. `began` and `ended` are seconds of this process's clock, `weight` is how many calls
    this one stands for in the queue. `alone` is false where other calls were on their way to its node; `tells` is false
    where its time says nothing of links and dispatch, because it shared them or waited for an input. `fetched` is the
    seconds that the caller then waited for a large result.
    """

    key: bytes
    call: Call
    choice: Choice
    made: Made
    began: float
    weight: int
    alone: bool
    tells: bool = True
    ended: float | None = None
    fetched: float = 0.0
    seen: Seen | None = None
    error: str = ""

    @property
    def observed(self) -> Observed | None:
        """How it went; None while it is on its way."""
        if self.ended is None:
            return None
        total = self.ended - self.began + self.fetched
        if self.seen is None:
            return Observed("", total, error=self.error)
        return Observed(self.seen.node, total, self.seen.compute, self.seen.result)
