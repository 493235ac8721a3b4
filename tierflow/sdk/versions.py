"""Versions that come down from one node to those that follow: models, configuration."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from tierflow.sdk.fabric import get
from tierflow.sdk.outbox import check_name
from tierflow.sdk.releasing import leaving

if TYPE_CHECKING:
    from tierflow.runtime.durable.versions import VersionStore

__all__ = ["Followed", "follow", "publish"]

_LOOK = 0.05


def publish(name: str, value: Any, *, node: str | None = None) -> int:
    """Keep the next version of something, and hand it to every node that follows it; the version's number.

    It is on the disk of its node when this returns, and goes down as links allow. Of two versions only the chunks that
    differ cross a link. The same value again is the same version.

    Args:
        name: 1 to 24 of a-z, 0-9 and "-".
        value: bytes, text, JSON, an Arrow table or record batch, a numpy array, a tensor, or a mapping from text to
            such, as a state dict is.
        node: the node that keeps it, when it is published for the first time; this process's own by default.

    Raises:
        OptionError: a name that can't be.
        PayloadError: the value is of no type that can be kept.
        StoreError: it cannot be written; the version before stays.
        FabricError: this process is in no fabric and finds none.
        Cut: the node that keeps it is cut off.
        StayRefused: who publishes it has read what may not leave its device or site, and does not release it.
    """
    check_name(name)
    from tierflow.exchange import freeze
    from tierflow.runtime.boxes import node_here
    from tierflow.runtime.hook import quiet
    from tierflow.runtime.publishing import open_publisher

    leaving(f"the versions of {name!r}")
    data = freeze(value)
    here = node_here()  # it also joins the fabric
    with quiet():  # it has no label, or was released
        version = open_publisher(name, node or here).publish.remote(data)
    return int(get(version))


def follow(name: str) -> Followed:
    """The versions of something on this node, from now on; see `Followed`. Raises `OptionError`, `StoreError`."""
    return Followed(name)


class Followed:
    """The newest version of something that is whole on this node's disk; read from there, whatever the links do.

    The node's follower, an actor of its own, fetches each new version as soon as the link allows, for all processes of
    the node once; a transfer that was broken off goes on where it stopped. A version is never followed by an older one,
    also when this process, the node or the publisher starts again.

    Raises:
        OptionError: a name that can't be.
        StoreError: this node's disk cannot be written.
    """

    def __init__(self, name: str) -> None:
        check_name(name)
        self.name = name
        self._read: tuple[int, Any] = 0, None
        self.version  # noqa: B018 (from now on the node follows it)

    def __reduce__(self) -> tuple[Any, ...]:
        return Followed, (self.name,)

    @property
    def version(self) -> int:
        """Its number; 0 before the first has arrived."""
        newest = self._store.newest()
        return newest.version if newest is not None else 0

    @property
    def value(self) -> Any:
        """What was published; None before the first version has arrived.

        Raises:
            StoreError: it was damaged on the disk, and is fetched again.
        """
        if self._read[0] != self.version:
            from tierflow.exchange import thaw

            version, data = self._store.read()
            self._read = version, thaw(data)
        return self._read[1]

    def wait(self, version: int = 1, timeout: float | None = None) -> bool:
        """Wait until this version or a newer one is here, for `timeout` seconds at the most; whether it is."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.version < version:
            if until is not None and time.monotonic() >= until:
                return False
            time.sleep(_LOOK)
        return True

    @functools.cached_property
    def _store(self) -> VersionStore:
        from tierflow.runtime.boxes import followed_folder, own_folder
        from tierflow.runtime.durable.versions import VersionStore

        return VersionStore(followed_folder(own_folder(), self.name))
