"""References and values of a fabric in this process."""

from __future__ import annotations

import concurrent.futures
import io
import itertools
import pickle
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.cloudpickle import CloudPickler
from ray.exceptions import GetTimeoutError

from tierflow.topology import Stay

__all__ = ["LocalReader", "Reference", "References", "Value", "dumps", "loads"]


_keys = itertools.count()
_references: weakref.WeakValueDictionary[int, Reference] = weakref.WeakValueDictionary()
"""Every reference of this process: one that is pickled (a flow does it) comes back as itself."""


def _reference(key: int) -> Reference:
    return _references[key]


class Reference(ray.ObjectRef):  # type: ignore[type-arg]  # generic only for type checkers
    """A `ray.ObjectRef` whose value is in this process; `resolve` gives it."""

    def __init__(self, number: int, resolve: Callable[[Reference], Any]) -> None:
        # As in Ray: the id of the task, which no other object has here, and the number of the result.
        super().__init__((number << 32 | 1).to_bytes(self.size(), "big"))
        self._resolve = resolve
        self._key = next(_keys)
        _references[self._key] = self

    def __reduce__(self) -> tuple[Any, ...]:
        return _reference, (self._key,)

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self._resolve(self)

    def future(self) -> concurrent.futures.Future[Any]:
        """The value as a future that is done."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(self._resolve(self))
        except Exception as error:
            future.set_exception(error)
        return future


class References:
    """References that come one by one, as Ray's generator of references: each item is made when it is asked for."""

    def __init__(self, items: Generator[Reference, None, None]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Reference]:
        return self._items

    def __next__(self) -> Reference:
        return next(self._items)

    def close(self) -> None:
        """End the generator that makes the items."""
        self._items.close()

    def __aiter__(self) -> AsyncIterator[Reference]:
        return self

    async def __anext__(self) -> Reference:
        for reference in self._items:
            return reference
        raise StopAsyncIteration


class LocalReader:
    """Reads the values of such references one by one; `get` gives one."""

    def __init__(self, items: Any, get: Callable[..., Any]) -> None:
        if not isinstance(items, References):
            raise TypeError(f"stream() takes what .remote() of a generator gives, not {type(items).__name__}")
        self._items, self._get = items, get
        self._late: Reference | None = None

    def next(self, timeout: float | None) -> Any:
        """The next value; raises `StopIteration` at the end."""
        ref, self._late = self._late or next(self._items), None
        try:
            return self._get(ref, timeout=timeout)
        except GetTimeoutError:
            self._late = ref
            raise

    def close(self) -> None:
        """Stop the generator."""
        self._items.close()


@dataclass(slots=True)
class Value:
    """A pickled value or an error: where it was made, when (virtual seconds), and when it reached other nodes.

    It may not leave what `stay` says.
    """

    data: bytes
    origin: str
    ready: float
    title: str = ""
    held: list[Any] = field(default_factory=list)
    error: Exception | None = None
    copies: dict[str, float] = field(default_factory=dict)
    stay: Stay | None = None


class _Pickler(CloudPickler):
    """References and handles stay themselves; all else is copied, as on the way to another process."""

    def __init__(self, file: io.BytesIO, held: list[Any]) -> None:
        super().__init__(file)  # type: ignore[no-untyped-call]
        self._held = held

    def persistent_id(self, value: Any) -> int | None:
        if isinstance(value, (Reference, References, ActorHandle)):
            self._held.append(value)
            return len(self._held) - 1
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, held: list[Any]) -> None:
        super().__init__(file)
        self._held = held

    def persistent_load(self, number: Any) -> Any:
        return self._held[number]


def dumps(value: Any) -> tuple[bytes, list[Any]]:
    """The value's pickle, and the references and handles in it. Raises what pickling raises."""
    file, held = io.BytesIO(), list[Any]()
    _Pickler(file, held).dump(value)  # type: ignore[no-untyped-call]
    return file.getvalue(), held


def loads(data: bytes, held: list[Any]) -> Any:
    """A new copy of a value."""
    return _Unpickler(io.BytesIO(data), held).load()
