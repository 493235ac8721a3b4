"""Where Ray keeps an object, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ray

__all__ = ["Copies", "copies"]


@dataclass(frozen=True, slots=True)
class Copies:
    """The bytes of an object, 0 where that is not known, and the nodes that have it in their store, by Ray's ids."""

    size: int
    nodes: tuple[str, ...]

    @property
    def here(self) -> bool:
        """Whether this node is one of them."""
        return ray.get_runtime_context().get_node_id() in self.nodes


def copies(ref: Any, timeout: int = -1) -> Copies:
    """What the owner of an object says of it, asked for `timeout` milliseconds; -1: as long as it takes.

    An object that is so small that it is in the hands of its owner is in no store. See
    `ray.experimental.get_object_locations`.

    Raises:
        ray.exceptions.RayError: the owner does not answer.
    """
    found = ray.experimental.get_object_locations([ref], timeout_ms=timeout).get(ref, {})
    return Copies(int(found.get("object_size") or 0), tuple(found.get("node_ids", ())))
