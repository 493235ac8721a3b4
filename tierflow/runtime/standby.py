"""An actor with a stand-in: a second process on its node, which answers for it from its crash until Ray starts it anew.

Ray starts an actor again by way of the GCS, on the head, and no new process on the near side of a cut can do without
it. So the second process is there from the start, with a connection to everybody, and empty: it makes the instance
only when it is called and sees that the first process has died. It is on the same node, so it sees that for sure: an
actor that is merely out of somebody's reach does not get a double. When Ray starts the actor again, that takes over
what the stand-in's instance holds before it answers anything, and the stand-in is empty again. So there is one
instance at any time, and nothing to reconcile.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
import os
import time
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import psutil
import ray

from tierflow.errors import NotStandingIn
from tierflow.runtime.arrow import carry_arrow
from tierflow.runtime.feeding import called_for
from tierflow.runtime.latest import Latest
from tierflow.runtime.taint import free
from tierflow.runtime.work import Work

__all__ = ["LOST", "Standing", "got", "other_try", "stand"]

log = logging.getLogger("tierflow.standby")

TRIES = 6
"""How often one call changes over between an actor and its stand-in."""
STARTS = 60.0
"""Seconds in which a try does not count that came too early for an actor that is just being started."""
TAKE_OVER = 60.0
"""Seconds that the stand-in may take to end the call it is at, and to hand over."""
REMEMBERED = 256
"""Calls of which it is known how they are made again, with what they were given: the latest, until they are got."""
BOTH = ("runtime_env", "lifetime", "namespace")
"""The actor's options, by Ray's names, that its stand-in has too."""
LOST = (ray.exceptions.ActorUnavailableError, ray.exceptions.ActorDiedError)
"""What Ray says of an actor that is gone, for now or for good."""

_tries = Latest[Callable[[Exception], Any]](REMEMBERED)


class StandIn:
    """The second process: its first argument is the class as Ray gets it, made with the others when it is needed."""

    def __init__(self, tierflow_body: type, *args: Any, **kwargs: Any) -> None:
        self._make = functools.partial(tierflow_body, *args, **kwargs)
        self._first: psutil.Process | None = None
        self._held: Any = None

    def node(self) -> Any:
        """Ray's id of the node."""
        return free(str(ray.get_runtime_context().get_node_id()))  # it says nothing of what was read here

    def take_over(self, pid: int) -> dict[str, Any] | None:
        """The actor is there (again), as this process: what the instance here holds, which answers no more."""
        self._first = psutil.Process(pid)
        held, self._held = self._held, None
        return None if held is None else dict(vars(held))

    def call(self, tierflow_method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the instance.

        Raises:
            NotStandingIn: the actor itself is there.
        """
        if self._first is None or _lives(self._first):
            raise NotStandingIn(type(self).__qualname__, self._first.pid if self._first else None)
        if self._held is None:
            self._held = self._make()
        with called_for(tierflow_method):
            result = getattr(self._held, tierflow_method)(*args, **kwargs)
            if inspect.iscoroutine(result):
                import asyncio

                return asyncio.run(result)
            return result


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; another process that was given its number later is another."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Standing:
    """A handle to an actor with a stand-in: ``handle.method.remote(x)`` gives an ordinary reference.

    It pickles, as Ray's handles do. It changes over to the stand-in, and back, where `tierflow.get` gets a result that
    was made through it and meets an actor that is gone. A call that was on its way then is made again if `again`
    (`max_task_retries` were given); otherwise it raises Ray's error, and the next call goes to the stand-in.
    """

    def __init__(self, first: Any, second: Any, *, again: bool) -> None:
        self._first, self._second, self._again = first, second, again
        self._stands_in = False
        self._met: tuple[Any, ...] = ()

    def __getattr__(self, name: str) -> _Method:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Method(self, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _standing, (self._first, self._second, self._again)

    def _call(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        second: bool,
        tries: int = TRIES,
        met: int | None = None,
        until: float = math.inf,
    ) -> Any:
        if second:
            ref = self._second.call.remote(free(method), *args, **kwargs)  # a name, and not of data
        else:
            ref = getattr(self._first, method).remote(*args, **kwargs)

        def other(error: Exception) -> Any:
            self._stands_in = not second
            left, process, end = tries - 1, met, until
            if isinstance(error, NotStandingIn):
                process, now = error.process, time.monotonic()
                end = min(until, now + STARTS)
                left = max(left, 1)  # the last word is Ray's
                if process is not None and process == met and now < end:
                    left = tries + 1  # the same as before: it was just being started, and that try did not run
            elif not self._again:
                return None
            if not left:
                return None
            return self._call(method, args, kwargs, second=not second, tries=left, met=process, until=end)

        _tries.keep(ref.binary(), other)
        return ref


class _Method:
    """A method of an actor with a stand-in."""

    def __init__(self, handle: Standing, name: str) -> None:
        self._handle, self._name = handle, name

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; a reference to the result."""
        return self._handle._call(self._name, args, kwargs, second=self._handle._stands_in)


def _standing(first: Any, second: Any, again: bool) -> Standing:
    handle = Standing(first, second, again=again)
    if ray.is_initialized():  # where they are is asked of the head, once: in a cut it would be too late
        handle._met = first.__ray_ready__.remote(), second.node.remote()
    return handle


def got(refs: Iterable[Any]) -> None:
    """Take note that somebody has these results: their calls will not be made again."""
    for ref in refs if _tries else ():
        _tries.pop(ref.binary(), None)


def other_try(ref: Any) -> Any:
    """The reference of another try of a call whose result cannot be had, because its actor or stand-in is not there.

    None where that is not so, or it is not to be tried again.
    """
    other = _tries.get(ref.binary())
    if other is None:
        return None
    try:
        ray.get(ref, timeout=0)
    except (*LOST, NotStandingIn) as error:
        _tries.pop(ref.binary(), None)
        return other(error)
    except Exception:  # of the method itself, or that it is not there yet: whoever gets it will see
        return None
    return None


def stand(start: Callable[..., Any], names: Mapping[str, str], work: Work, args: Any, kwargs: Any) -> Standing:
    """Start an actor and its stand-in on the node that `start` chooses; `names` gives a node's name by Ray's id."""
    shared = {name: value for name, value in work.options.items() if name in BOTH}
    request = work.request
    options = {"num_cpus": 0, "max_restarts": -1, **shared}
    body = types.new_class(f"{request.title} (stand-in)", (StandIn,))
    second = start(replace(work, body=body, options=options, ready=None), (work.body, *args), kwargs)
    node = names[ray.get(second.node.remote())]
    again = work.options.get("max_task_retries", 0) != 0
    own = {"max_restarts": -1, **work.options, "max_task_retries": 0}  # Ray would try the dead process for ever
    there = replace(request, tiers=(), site=None, node=node)
    work = replace(work, body=_taking_over(work.body), options=own, request=there, ready=None)
    first = start(work, (second, *args), kwargs)
    return Standing(first, second, again=again)


def _taking_over(body: type) -> type:
    """The class of the first process: it begins with what its stand-in holds, if that has stood in."""

    def start(self: Any, second: Any, *args: Any, **kwargs: Any) -> None:
        held = None
        try:
            held = ray.get(second.take_over.remote(os.getpid()), timeout=TAKE_OVER)
        except Exception as error:  # it has crashed as well, or what it holds cannot be pickled
            log.error("%s begins anew, as its stand-in hands nothing over: %s", body.__qualname__, error)
        if held is None:
            body.__init__(self, *args, **kwargs)  # type: ignore[misc]  # the class is known, not a subclass's
        else:
            vars(self).update(held)
            carry_arrow(always=True)
        self.__dict__["_tierflow_stand_in"] = second  # which ends with its last handle

    made = types.new_class(body.__name__, (body,), exec_body=lambda members: members.update({"__init__": start}))
    made.__module__, made.__doc__, made.__qualname__ = body.__module__, body.__doc__, body.__qualname__
    return made
