"""The privacy guard: what has a label is sealed whenever it leaves a process, and opened only where it may be.

A value with ``stay="device"`` or ``stay="site"`` is pickled sealed, with a key that only its node, or the nodes of its
site, have. So whoever fetches it elsewhere, by whatever way of Ray's, gets noise and `StayRefused`. Whoever opens it is
tainted (`runtime.taint`): from then on all that he sends is sealed too, with the strictest label of what he has read,
until his task ends. A function that declares `releases=` gives its results without a label, and each is written down
in its node's audit log before it goes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import asdict, replace
from typing import Any, NoReturn
from uuid import uuid4

import ray

from tierflow.errors import Cut, FabricError, NoPlacement, NotStandingIn, StayRefused, StoreError, Withheld
from tierflow.exchange import Envelope, looks, read_line, seal, unseal
from tierflow.runtime import hook, taint
from tierflow.runtime.arrow import carry_arrow
from tierflow.runtime.audit import AuditLog
from tierflow.runtime.beside import serves_all
from tierflow.runtime.scope import Scope, scope_here
from tierflow.runtime.taint import Free, Taint
from tierflow.runtime.witness import tell
from tierflow.topology import Stay, strictest

__all__ = ["Sealed", "enter", "leaving", "looking", "opened", "refusal_in", "release"]

MEND = "run what needs it at {}, or let a function there return what may be known, and declare releases="
DEPTH = 4
"""How deep references are looked for in what may hold nothing else."""

_looking: ContextVar[bool] = ContextVar("looking", default=False)


class Sealed:
    """A value as it leaves this process: pickled, it is sealed, and unpickled it is the value again, or refused."""

    def __init__(self, value: Any, stay: Stay) -> None:
        self.value, self.stay = value, stay

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        line, *pieces = _sealed(self.value, self.stay)
        return opened, (line, *map(pickle.PickleBuffer, pieces))


class looking:
    """In this block sealed values are read as their envelopes, by whoever it is."""

    def __enter__(self) -> None:
        self._token = _looking.set(True)

    def __exit__(self, *_: object) -> None:
        _looking.reset(self._token)


def opened(line: bytes, *pieces: Any) -> Any:
    """What was sealed; whoever reads it is tainted by it. This is what a sealed value's pickle calls.

    Raises:
        StayRefused: it may not be here.
        PayloadError: it is damaged.
    """
    envelope, _ = read_line(line)
    if _looking.get():
        return envelope
    scope: Scope | None = None
    with suppress(FabricError):
        scope = scope_here()
    secret = None if scope is None or serves_all() else scope.opens(envelope.key)
    if secret is None:
        _refuse(envelope, scope)
    pickled, *buffers = unseal(line, pieces, secret)
    taint.add(envelope.stay or "device", envelope)  # before it is unpickled, which may fail and say of what
    _watch()
    return pickle.loads(pickled, buffers=buffers)


def enter(stay: Stay) -> None:
    """What runs here is declared with a label: so is all that it makes. Outside of a worker there is nothing to do."""
    if taint.in_worker():
        taint.add(stay)
        _watch()


def release(value: Any, word: str) -> Any:
    """A result of a function that declares `releases=word`; without a label from here on, and written down.

    Raises:
        StoreError: it cannot be written down, and so is not released.
    """
    held = taint.now()
    if held is None:
        return value
    kind, shape, schema = looks(value)
    _note(scope_here(), held, "release", word=word, value={"kind": kind, "shape": shape, "schema": schema})
    return Free(value)


def leaving(where: str) -> None:
    """Something is about to leave by another way than Ray's: refused, or written down, if who runs here is tainted.

    Raises:
        StayRefused: he is, and his function does not declare `releases=`.
    """
    held = taint.now()
    if held is None:
        return
    scope, word = scope_here(), taint.word.get()
    if word:
        _note(scope, held, "release", word=word, to=where)
        return
    name = scope.name(held.stay)
    error = StayRefused(f"what {_who()} has read", f"it was to go into {where}", name, MEND.format(name))
    with suppress(StoreError):
        _note(scope, held, "refusal", to=where)
    raise error


def refusal_in(error: BaseException | None) -> StayRefused | None:
    """The refusal that an error of Ray's wraps, if it wraps one."""
    for _ in range(DEPTH):
        if error is None or isinstance(error, StayRefused):
            return error
        error = getattr(error, "client_exc", None) or getattr(error, "cause", None)
    return None


def _sealed(value: Any, stay: Stay) -> tuple[bytes, ...]:
    from ray.cloudpickle import CloudPickler

    scope, held = scope_here(), taint.now()
    carry_arrow()
    file, beside = io.BytesIO(), list[pickle.PickleBuffer]()
    with hook.quiet():
        CloudPickler(file, protocol=5, buffer_callback=beside.append).dump(value)  # type: ignore[no-untyped-call]
    parts = [file.getbuffer(), *(buffer.raw() for buffer in beside)]
    kind, shape, schema = looks(value)
    label = strictest((stay, held.stay if held else None)) or stay
    envelope = Envelope(
        kind, shape, schema, sum(part.nbytes for part in parts), scope.node, scope.site, label, uuid4().hex, _who(),
        tuple(held.sources.values()) if held else (), held.earlier if held else 0,
    )  # fmt: skip
    return seal(envelope, parts, scope.secret(label))


def _watch() -> None:
    hook.put_in(_leaves, _withheld)


def _leaves(value: Any) -> Any:
    """What goes in place of a value that is about to leave."""
    if type(value) is Free or type(value) is Sealed:
        return value
    held = taint.now()
    if held is None or _only_refers(value, DEPTH) or (value is True and _who().endswith("__ray_ready__")):
        return value
    return Sealed(value, held.stay)


def _only_refers(value: Any, depth: int) -> bool:
    """Whether a value is nothing but references and handles, which hold no data of their own."""
    if isinstance(value, (list, tuple)):
        return depth > 0 and all(_only_refers(item, depth - 1) for item in value)
    return value is None or isinstance(value, (ray.ObjectRef, ray.actor.ActorHandle))


def _withheld(function: str, error: BaseException) -> BaseException:
    """What goes in place of an error; ours say nothing of the data, but for what was noted on them."""
    held = taint.now()
    if held is None:
        return error
    if isinstance(error, (StayRefused, StoreError, Withheld, NoPlacement, NotStandingIn, Cut)):
        error.__dict__.pop("__notes__", None)
        return error
    kind = type(getattr(error, "cause", None) or error).__name__
    return Withheld(function, kind, scope_here().name(held.stay))


def _refuse(envelope: Envelope, scope: Scope | None) -> NoReturn:
    node, who = scope.node if scope else "a process outside of the fabric", _who()
    entry = {"what": "refusal", "node": node, "by": who, "stay": envelope.stay, "value": _told(envelope)}
    if scope is not None:
        with suppress(StoreError):  # with or without an entry it stays closed
            AuditLog(scope.folder).add(entry)
    tell(envelope.node, entry)
    asked = f"{who} on {node} asked for it" if scope else f"{node} asked for it"
    if scope is not None and envelope.stay is not None and envelope.scope == scope.name(envelope.stay):
        asked += ", which serves everybody" if serves_all() else "; its key was made anew since then"
    article = "an" if envelope.kind[:1] in "aeiou" else "a"
    what = f"{article} {envelope.kind} of {envelope.function} on {envelope.node}"
    raise StayRefused(what, asked, envelope.scope, MEND.format(envelope.scope), envelope.id)


def _note(scope: Scope, held: Taint, what: str, **more: Any) -> None:
    lineage = [asdict(source) for source in held.sources.values()]
    entry = {"what": what, "node": scope.node, "by": _who(), "stay": held.stay, **more, "lineage": lineage}
    AuditLog(scope.folder).add(entry | {"earlier": held.earlier})


def _told(envelope: Envelope) -> Mapping[str, Any]:
    return asdict(replace(envelope, key=""))


def _who() -> str:
    """What runs here, by the name that dashboards show."""
    if taint.in_worker():
        return str(ray.get_runtime_context().get_task_name() or "a thread")
    return "the program"
