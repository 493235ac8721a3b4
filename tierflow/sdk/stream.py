"""What a generator elsewhere makes, read with a plain loop while it makes more."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tierflow.runtime.ahead import AHEAD
from tierflow.sdk import fabric
from tierflow.sdk.options import ahead_of

if TYPE_CHECKING:
    from tierflow.runtime.handles import ObjectRefGenerator

__all__ = ["Stream", "stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """The values that a generator makes elsewhere, one by one. Made by `stream`.

    It ends with the generator. Closed before that (`close`, the end of a ``with`` block, or nobody holds it any more),
    it stops the generator.
    """

    def __init__(self, reader: Any, timeout: float | None) -> None:
        self._reader, self._timeout = reader, timeout

    def __iter__(self) -> Stream[T]:
        return self

    def __next__(self) -> T:
        value: T = self._reader.next(self._timeout)
        return value

    def close(self) -> None:
        """Stop the generator: it ends where it yields next, and its ``finally`` runs. It may be done more than once."""
        self._reader.close()

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be at its end
            self.close()


def stream(items: ObjectRefGenerator[T], *, ahead: str | float = AHEAD, timeout: float | None = None) -> Stream[T]:
    """The values of what ``.remote()`` of a generator gave: ``for batch in tierflow.stream(batches.remote())``.

    While the loop works on one value the next ones cross the link and the generator makes those after them. So there
    are at most `ahead` bytes on this side, fetched or on their way, and as many on the generator's (see `task`): the
    one that is worked on, and one that is being made, come on top; a value larger than that goes alone.

    Args:
        items: what ``.remote()`` gave; nobody else may read it.
        ahead: "4 MB", or bytes.
        timeout: seconds that the loop waits for one value; None: for ever.

    Reading raises:
        ray.exceptions.RayTaskError: the generator failed, after the values that it made before.
        ray.exceptions.GetTimeoutError: the time was not enough. The stream goes on if it is read again.
        Cut: the generator is on a node that is cut off. The stream goes on after the heal if it is read again.

    Raises:
        OptionError: `ahead` is no size.
        TypeError: `items` is not what a generator's ``.remote()`` gives.
    """
    return Stream(fabric.current().stream(items, ahead_of("tierflow.stream", ahead)), timeout)
