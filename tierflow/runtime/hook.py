"""The places of Ray that all which leaves a process passes; watched from the first labelled value on, never before.

Ray has no public hook for this. ``SerializationContext.serialize`` is called for each argument, result, item of a
generator and `ray.put`, whatever its type and whoever calls. ``RayTaskError`` is made of each error of a task or an
actor, and its profile of what was run keeps each error too, as JSON. What a function captures goes by cloudpickle.
"""

from __future__ import annotations

import json
import sys
import threading
import types
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray._common import signature
from ray._private.serialization import SerializationContext
from ray.cloudpickle import CloudPickler, cloudpickle
from ray.exceptions import RayTaskError

from tierflow.errors import PayloadError
from tierflow.runtime.taint import Free, begins, now

__all__ = ["Watch", "put_in", "quiet"]

_state = threading.local()
_CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)
_CONSTANTS = (type(None), bool, int, float, str)
_installed = threading.Event()

Watch = Callable[[Any], Any]
"""Gives what goes in place of a value: itself, the value sealed, or `Free`."""


class quiet:
    """In this block nothing is watched of what this thread pickles: it is sealed as a whole, or may leave."""

    def __enter__(self) -> None:
        self._before = _is_quiet()
        _state.quiet = True

    def __exit__(self, *_: object) -> None:
        _state.quiet = self._before


class _Name(str):
    """The name of an argument: part of the program, not of its data."""


def put_in(leaves: Watch, withheld: Callable[[str, BaseException], BaseException]) -> None:
    """Have Ray ask what really is to go in place of a value, or of the error of a function; once in a process."""
    if not _installed.is_set():
        _installed.set()
        _watch_tasks()
        _watch_values(leaves, withheld)
        _watch_errors(withheld)
        _watch_profiles()
        _watch_code(leaves)
        _know_names()


def _is_quiet() -> bool:
    return getattr(_state, "quiet", False)


def _watch_tasks() -> None:
    """Ray names the process after each task before it reads what that is given."""
    workers: Any = ray._private.worker
    plain = workers._changeproctitle

    def renamed(*titles: Any) -> Any:
        begins()
        return plain(*titles)

    workers._changeproctitle = renamed


def _watch_values(leaves: Watch, withheld: Callable[[str, BaseException], BaseException]) -> None:
    plain = SerializationContext.serialize

    def serialize(self: Any, value: Any) -> Any:
        if isinstance(value, RayTaskError):
            if now() is not None and value.cause is not None:
                cause: Any = withheld(value.function_name, value.cause)
                value = RayTaskError(value.function_name, _text(cause), cause)  # type: ignore[no-untyped-call]
            return plain(self, value)
        if type(value) is _Name:
            return plain(self, str(value))
        if _is_quiet() or value is None or (type(value) is bytes and value == signature.DUMMY_TYPE):
            return plain(self, value)
        sent = leaves(value)
        if type(sent) is Free:
            with quiet():
                return plain(self, sent.value)
        return plain(self, sent)

    direct = SerializationContext.serialize_rdt_objects

    def between_actors(self: Any, value: Any, transport: str) -> Any:
        if leaves(value) is not value:
            raise PayloadError("a tensor transport between actors cannot carry what is sealed", "send it without one")
        return direct(self, value, transport)

    SerializationContext.serialize = serialize  # type: ignore[method-assign]
    SerializationContext.serialize_rdt_objects = between_actors  # type: ignore[method-assign,assignment]


def _watch_errors(withheld: Callable[[str, BaseException], BaseException]) -> None:
    plain: Any = RayTaskError.__init__

    def init(self: Any, function_name: str, traceback_str: str, cause: Any, *args: Any, **kwargs: Any) -> None:
        # One that comes from elsewhere, and is only unpickled here, is no error that is being handled.
        if isinstance(cause, BaseException) and sys.exc_info()[1] is cause and now() is not None:
            cause = withheld(function_name, cause)
            traceback_str = _text(cause)
        plain(self, function_name, traceback_str, cause, *args, **kwargs)

    RayTaskError.__init__ = init  # type: ignore[method-assign]


def _text(error: BaseException) -> str:
    """What is told of an error where no more may be: a traceback holds what other errors say."""
    return f"{type(error).__name__}: {error}\n"


class _Json:
    """The module `json` as Ray's profile of a task uses it: without what an error says."""

    def __getattr__(self, name: str) -> Any:
        return getattr(json, name)

    def dumps(self, value: Any, *args: Any, **kwargs: Any) -> str:
        if isinstance(value, dict) and value.keys() >= {"type", "value", "traceback"} and now() is not None:
            value = {"type": value["type"], "value": "withheld", "traceback": ""}
        return json.dumps(value, *args, **kwargs)


def _watch_profiles() -> None:
    raylet: Any = ray._raylet
    raylet.json = _Json()


def _watch_code(leaves: Watch) -> None:
    """Functions and classes that are pickled by value: what is in closures, defaults, attributes, and the globals used.

    Numbers and text are taken for constants there, but not in a closure.
    """
    function_of: Any = CloudPickler._dynamic_function_reduce
    pickling: Any = cloudpickle
    class_of: Any = pickling._class_getstate
    cell_of: Any = CloudPickler.dispatch[types.CellType]

    def part(value: Any, free: tuple[type, ...] = ()) -> Any:
        code = isinstance(value, _CODE) or type(value).__module__.startswith(("ray.", "tierflow.sdk."))
        return value if code or isinstance(value, free) else leaves(value)

    def parts(values: Mapping[str, Any]) -> dict[str, Any]:
        """Those with Python's own names, like ``__signature__``, are code."""
        return {name: value if name[:2] == "__" else part(value, _CONSTANTS) for name, value in values.items()}

    def cell(value: types.CellType) -> Any:
        made = cell_of(value)
        if _is_quiet() or not made[1]:
            return made
        return made[0], (part(made[1][0]),), *made[2:]

    def function(self: Any, value: Any) -> Any:
        make, given, (state, slots), *others = function_of(self, value)
        if not _is_quiet():
            slots = {**slots, "__globals__": parts(slots["__globals__"])}
            if slots["__defaults__"]:
                slots["__defaults__"] = tuple(part(value, _CONSTANTS) for value in slots["__defaults__"])
            if slots["__kwdefaults__"]:
                slots["__kwdefaults__"] = parts(slots["__kwdefaults__"])
            state = parts(state)
        return make, given, (state, slots), *others

    def kind(value: type) -> Any:
        members, slots = class_of(value)
        if not _is_quiet():
            data = {name: item for name, item in members.items() if not hasattr(type(item), "__get__")}
            data.pop("_abc_impl", None)
            members |= parts(data)
        return members, slots

    pickling._class_getstate = kind
    CloudPickler.dispatch[types.CellType] = cell
    CloudPickler._dynamic_function_reduce = function  # type: ignore[method-assign]


def _know_names() -> None:
    ray_signature: Any = signature
    plain = ray_signature.flatten_args

    def flatten(parameters: Any, args: Any, kwargs: Any) -> list[Any]:
        flat = plain(parameters, args, kwargs)
        return [_Name(item) if at % 2 == 0 and isinstance(item, str) else item for at, item in enumerate(flat)]

    ray_signature.flatten_args = flatten
