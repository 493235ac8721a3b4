"""What a value is, without opening it: looked at where it is, so that nothing but its envelope crosses a link."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ray

from tierflow.errors import FabricError
from tierflow.exchange import Envelope, looks
from tierflow.runtime.copies import copies
from tierflow.runtime.guard import looking
from tierflow.runtime.taint import free
from tierflow.runtime.weight import weight
from tierflow.topology import NODE

__all__ = ["SOON", "described"]

WITHIN = 30.0
"""Seconds that the node of a value may take to say what it is."""
SOON = 2.0
"""The same where a call waits for it; it is asked again for the next call."""


def described(ref: Any, names: Mapping[str, str], within: float = WITHIN) -> Envelope:
    """The envelope of the value of a reference; waits until that is made. `names` are the nodes' by their ids in Ray,
    `within` are seconds that its node may take.

    Raises:
        TypeError: it is no reference.
        FabricError: its node does not answer, or it cannot be read.
    """
    if not isinstance(ref, ray.ObjectRef):
        raise TypeError(f"describe() takes an object reference, not {type(ref).__name__}")
    ray.wait([ref], fetch_local=False)
    try:
        nodes = [names[node] for node in copies(ref).nodes if node in names]
        here = names.get(ray.get_runtime_context().get_node_id(), "")
        if not nodes or here in nodes:  # what lies in no store is so small that it is in the hands of its owner
            small = _seen([ref], within)
            return replace(small, node=small.node or here)
        at = nodes[0]
        asked = _looker().options(label_selector={NODE: at}, name=f"describe@{at}").remote([ref])
        seen: Envelope = ray.get(asked, timeout=within)
    except ray.exceptions.RayError as error:
        raise FabricError(f"what {ref} is cannot be found out ({error})", "see that its node can be reached") from error
    return replace(seen, node=seen.node or at)


def _seen(refs: Sequence[Any], within: float = WITHIN) -> Envelope:
    with looking():
        value = ray.get(refs[0], timeout=within)
    return value if isinstance(value, Envelope) else Envelope(*looks(value), size=weight(value))


def _freely(refs: Sequence[Any]) -> Any:
    return free(_seen(refs))


@functools.cache
def _looker() -> Any:
    return ray.remote(num_cpus=0)(_freely)
