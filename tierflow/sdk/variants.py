"""The variants of a task: other functions that do the same job, more or less well."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tierflow.errors import OptionError
from tierflow.planning import POLICY_OPTIONS
from tierflow.runtime.work import Work
from tierflow.sdk.body import is_stream
from tierflow.topology import Stay, strictest

__all__ = ["Variants", "check_variant"]


class _Task(Protocol):
    __module__: str
    __qualname__: str

    @property
    def _work(self) -> Work: ...

    def options(self, **options: Any) -> _Task: ...


class Variants:
    """Those that were made so far, in order of name; one object for a task and all that its `.options()` give."""

    def __init__(self) -> None:
        self._tasks: tuple[_Task, ...] = ()

    def add(self, task: _Task) -> None:
        """Add one, in the place of the one of the same name: a cell of a notebook is run again."""
        others = (other for other in self._tasks if _key(other) != _key(task))
        self._tasks = tuple(sorted((*others, task), key=_key))

    def works(self, later: Mapping[str, Any], stay: Stay | None = None) -> Callable[[], tuple[Work, ...]]:
        """What gives the works of all that there are when it is called, under the options that a call laid over.

        Their results may not leave what `stay` says, as those of what was called may not.
        """
        seen: tuple[_Task, ...] = ()
        made: tuple[Work, ...] = ()
        # The policy is the call's, and its name is that of what was called. But who runs knows what its result may not
        # leave.
        kept = {name: value for name, value in later.items() if name not in ("name", *POLICY_OPTIONS)}

        def work(task: _Task) -> Work:
            label = strictest((stay, task._work.policy.stay))
            options = kept if label is None else {**kept, "stay": label}
            return (task.options(**options) if options else task)._work

        def works() -> tuple[Work, ...]:
            nonlocal seen, made
            if seen is not self._tasks:
                known = dict(zip(seen, made, strict=True))
                tasks = self._tasks
                made = tuple(known[task] if task in known else work(task) for task in tasks)
                seen = tasks
            return made

        return works


def check_variant(function: Callable[..., Any], accuracy: object, original: Callable[..., Any]) -> None:
    """Whether a call of the original is also a call of the function, which has a share for its accuracy.

    Raises:
        OptionError: it is not, or it has not.
    """
    name, other = function.__name__, original.__name__
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not 0 <= accuracy <= 1:
        raise OptionError(name, f"accuracy={accuracy!r} is no share", "write one from 0 to 1, like 0.9")
    if (function.__module__, function.__qualname__) == (original.__module__, original.__qualname__):
        raise OptionError(name, "a variant has the name of what it is a variant of", "give it a name of its own")
    ours, theirs = _parameters(function), _parameters(original)
    alike = [item[:2] for item in ours] == [item[:2] for item in theirs]
    if not alike or any(mine and not its for (_, _, mine), (_, _, its) in zip(ours, theirs, strict=True)):
        raise OptionError(
            name,
            f"it takes {_shown(function)}, and {other}, whose variant it is, takes {_shown(original)}",
            "give it the same parameters, with a default where the other has one",
        )
    if is_stream(function) != is_stream(original):
        kind = "is a generator, and {} is none" if is_stream(function) else "is no generator, and {} is one"
        raise OptionError(name, f"it {kind.format(other)}", "let both return, or let both yield")


def _key(task: _Task) -> tuple[str, str]:
    return task.__qualname__, task.__module__


def _parameters(function: Callable[..., Any]) -> list[tuple[str, object, bool]]:
    """Name, kind and whether it must be given, of each."""
    parameters = inspect.signature(function).parameters.values()
    return [(item.name, item.kind, item.default is item.empty) for item in parameters]


def _shown(function: Callable[..., Any]) -> str:
    """Its parameters without their types: ``(frame, limit=0.5)``."""
    signature = inspect.signature(function)
    bare = [item.replace(annotation=item.empty) for item in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))
