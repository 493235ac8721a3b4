"""What this process has read that may not leave its node or site: all that it makes from then on may not either.

A task is over when it ends, so what it read is forgotten with it. An actor's state is made of all it ever read, and so
are a program's variables. Light on purpose: whoever sends anything asks here first (`now`), nearly always in vain.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tierflow.topology import Stay, strictest

if TYPE_CHECKING:
    from tierflow.exchange import Envelope, Source

__all__ = ["Free", "Taint", "add", "free", "in_worker", "now", "releasing", "word"]

PROGRAM = "program"
MOST = 32
"""Sources that are named; those before them are counted."""


@dataclass(slots=True)
class Taint:
    """What a task, an actor or a program (its `owner`) has read.

    Attributes:
        owner: its id; None where it was read in a thread of which Ray does not know to whom it belongs.
        stay: the strictest label of all that, and what the owner itself was declared with.
        sources: what it was, by id, the latest last; `earlier`: how many there were before.
    """

    owner: str | None
    stay: Stay
    sources: dict[str, Source] = field(default_factory=dict)
    earlier: int = 0


class Free:
    """A value that may leave although its maker has read what may not: it was released, or is the fabric's own."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self.value,)

    def __len__(self) -> int:  # of a task with several results Ray asks how many there are
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return map(Free, self.value)


def _same(value: Any) -> Any:
    return value


def free(value: Any) -> Any:
    """A message of the fabric's own, which holds no data of whoever runs here."""
    return value if now() is None else Free(value)


word: ContextVar[str] = ContextVar("word", default="")
"""Under what word the function that runs releases what it makes; empty: it does not."""
_held: Taint | None = None
_lock = threading.Lock()


def now() -> Taint | None:
    """What whoever runs here has read; None where that has no label."""
    return None if _held is None else _current()


def add(stay: Stay, envelope: Envelope | None = None) -> None:
    """Take note that whoever runs here has read a labelled value, or is declared with a label."""
    global _held
    with _lock:
        held = now() or Taint(_owner(), stay)
        held.stay = strictest((held.stay, stay)) or stay
        if envelope is not None:
            held.sources.pop(envelope.id, None)
            for source in (*envelope.lineage, envelope.source):
                held.sources.setdefault(source.id, source)
            held.earlier += envelope.earlier
            while len(held.sources) > MOST:
                del held.sources[next(iter(held.sources))]
                held.earlier += 1
        _held = held


@contextmanager
def releasing(under: str) -> Iterator[None]:
    """What is made in this block is released under a word."""
    token = word.set(under)
    try:
        yield
    finally:
        word.reset(token)


def in_worker() -> bool:
    """Whether this process is one of Ray's workers."""
    import ray

    return bool(ray.is_initialized() and ray._private.worker.global_worker.mode == ray.WORKER_MODE)


def _current() -> Taint | None:
    """What is held, unless it was read by a task that is over."""
    global _held
    held, owner = _held, _owner()
    if held is not None and owner is not None and held.owner != owner:
        if held.owner is None:
            held.owner = owner
        else:
            _held = held = None
    return held


def _owner() -> str | None:
    """Who runs here; None in a thread of its own, which Ray takes for nobody's."""
    import ray

    if not in_worker():
        return PROGRAM
    context = ray.get_runtime_context()
    actor: str | None = context.get_actor_id()
    if actor is not None:
        return actor
    # A generator's own thread has been told whose it is (`runtime.feeding`).
    raylet: Any = ray._raylet
    known = threading.current_thread() is threading.main_thread() or raylet.async_task_id.get() is not None
    return str(context.get_task_id()) if known else None
