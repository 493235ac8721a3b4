"""Removing a rig: by its own process, by another, or by one that finds what a killed one left."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from tierflow.rig import namespaces
from tierflow.rig.cgroups import detect
from tierflow.rig.control import CONFIG, SOCKET
from tierflow.rig.ledger import LEDGER, Ledger, identity, locked

__all__ = ["remove", "sweep"]


def sweep(state: str | Path) -> None:
    """Remove everything that a rig made in `state` left on this machine, whoever made it and however that ended.

    Does nothing where there is nothing. Raises `RigError` where another process makes or removes the rig just now, or
    a process of a host does not end.
    """
    state = Path(state).absolute()
    if state.is_dir():
        with locked(state):
            remove(state)


def remove(state: Path) -> None:
    """`sweep` for one who holds the lock. Ctrl-C waits until it is done.

    Names of namespaces and cgroups follow from the state folder, so a lost ledger hides nothing.
    """
    with _uninterrupted():
        ledger = Ledger.read(state)
        name = ledger.identity if ledger else identity(state)
        hierarchy = ledger.hierarchy if ledger else detect()
        if hierarchy is not None:
            hierarchy.remove(name)
        for namespace in namespaces.names(f"tf-{name}-"):
            namespaces.remove(namespace)
        for file in (SOCKET, CONFIG, LEDGER):
            (state / file).unlink(missing_ok=True)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
