"""What a worker tells of a call: a further result of the task, which comes in the task's own reply."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

import ray

from tierflow.cost import Codec
from tierflow.runtime import taint
from tierflow.runtime.packing import ratios
from tierflow.runtime.weight import weight
from tierflow.topology import Stay

__all__ = ["Observation", "observed"]

LOSSY = 1.0
"""All codecs are told of: which may be used is for the caller to say."""
Observation = tuple[str, float, int, int, bool, tuple[Codec, ...], Stay | None]
"""Ray's id of the node, seconds in the function, bytes of result and arguments, whether it was its first call in this
process, what would make the result smaller, and what that may not leave.
"""

_called: set[Any] = set()


def observed(function: Any, call: Callable[[], Any], given: Iterable[Any]) -> tuple[Any, Observation | taint.Free]:
    """The result of a call of a function with the arguments `given`, and what is to be told of it."""
    first = function not in _called
    _called.add(function)
    size = sum(map(weight, given))  # before the function can alter them
    began = perf_counter()
    result = call()
    seconds = perf_counter() - began
    held = taint.now()
    if held is None:
        return result, (_node(), seconds, weight(result), size, first, ratios(result, function, LOSSY), None)
    released = type(result) is taint.Free
    made = result.value if released else result
    packs = ratios(made, function, LOSSY) if released else ()  # what is sealed is noise, and packs no further
    told = _node(), seconds, weight(made), size, first, packs, None if released else held.stay
    return result, taint.Free(told)  # it says nothing of the data


@functools.cache
def _node() -> str:
    """This process's node; it does not change."""
    return str(ray.get_runtime_context().get_node_id())
