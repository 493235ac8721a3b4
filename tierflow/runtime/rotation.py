"""A running fabric's certificates: made by hand, and changed node by node."""

from __future__ import annotations

from pathlib import Path

from tierflow.errors import TrustError
from tierflow.runtime.grants import Grants
from tierflow.runtime.keys import Keys
from tierflow.runtime.record import FabricRecord
from tierflow.trust import NAME, STARTED

__all__ = ["by_hand", "finish", "rotate"]


def by_hand(record: FabricRecord, name: str, address: str) -> Path:
    """Make a key and a certificate for a machine that is no node; the folder with both.

    Raises:
        TrustError: the fabric has no certificates, or the name is a node's, or none.
    """
    if name in Grants(Path(record.state)).admitted():
        raise TrustError(f"{name} is a node, and has its certificate by itself", "give another name")
    if not NAME.fullmatch(name):
        raise TrustError(f"{name!r} is no name of a machine", "use 1 to 24 of a-z, 0-9 and '-'")
    return Keys(Path(record.state)).equip(name, address)


def rotate(record: FabricRecord) -> None:
    """Begin: a new authority beside the present one, and new certificates for the nodes that run on this machine.

    Raises:
        TrustError: the fabric has no certificates, or the last rotation is not finished.
    """
    Keys(Path(record.state)).rotate(record.name, _here(record))


def finish(record: FabricRecord) -> None:
    """End it, once every living node has started after it began.

    Raises:
        TrustError: no rotation is under way, or nodes still show the certificates of before.
        FabricError: the head does not answer.
    """
    keys = Keys(Path(record.state))
    since = keys.rotated
    if since is None:
        raise TrustError("no rotation is under way", "begin one with `tierflow certs rotate`")
    members = record.head_interface().started()
    old = sorted(member.name for member, started in members if member.alive and started < since)
    if old:
        raise TrustError(
            f"{', '.join(old)} started before the rotation and would be shut out",
            "restart them one by one, then run this again",
        )
    keys.finish(_here(record))


def _here(record: FabricRecord) -> dict[str, str]:
    """The nodes that `up` started on this machine, and their addresses."""
    admitted = Grants(Path(record.state)).admitted()
    return {name: was.address for name, was in admitted.items() if was.grant == STARTED}
