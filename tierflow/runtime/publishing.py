"""What is published: an actor on one node that keeps the newest version and hands it out, chunk by chunk."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tierflow.runtime import beside
from tierflow.runtime.boxes import own_folder, published_folder
from tierflow.runtime.durable.versions import Manifest, VersionStore
from tierflow.runtime.hook import quiet

__all__ = ["Publisher", "find_publisher", "open_publisher"]

log = logging.getLogger("tierflow.publish")


class Publisher(beside.Own):
    """The versions of `name`, on the node called `node`; a plain class, of which Ray makes an actor."""

    def __init__(self, name: str, node: str) -> None:
        self._name, self._node = name, node
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    @functools.cached_property
    def _store(self) -> VersionStore:
        """Opened by the first call that can: an actor whose making fails is not started again by Ray."""
        return VersionStore(published_folder(own_folder(), self._name))

    async def node(self) -> str:
        """Where it is."""
        return self._node

    async def publish(self, data: bytes) -> int:
        """See `VersionStore.publish`; the version's number."""
        async with self._turn:
            version = (await asyncio.to_thread(self._store.publish, data)).version
        self._news.set()
        self._news = asyncio.Event()
        return version

    async def beyond(self, held: int, patience: float) -> Manifest | None:
        """The newest version, if that is above the one that a follower holds; waits so many seconds for one."""
        if held > self._store.floor():
            log.error(
                "a follower holds version %d of %r, and here is only %d: this store was put back in time; the next "
                "version is %d, and nobody takes an older one",
                held, self._store.name, self._store.floor(), held + 1,
            )  # fmt: skip
            async with self._turn:
                await asyncio.to_thread(self._store.raise_floor, held)
        newest = self._store.newest()
        if newest is None or newest.version <= held:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), patience)
            newest = self._store.newest()
        return newest if newest is not None and newest.version > held else None

    async def chunks(self, digests: Sequence[str]) -> list[bytes | None]:
        """See `VersionStore.chunks`."""
        return await asyncio.to_thread(self._store.chunks, digests)


def find_publisher(name: str) -> tuple[Any, str]:
    """The actor that publishes `name`, and the node that it is on; see `beside.find`."""
    return beside.find(f"publish/{name}")


def open_publisher(name: str, node: str) -> Any:
    """The actor that publishes `name`; made on that node where there is none."""
    with quiet():  # names, and not of data
        return beside.own(Publisher, f"publish/{name}", node).remote(name, node)
