"""Start a Ray node under a name that an earlier life of the same node may still hold.

With settings that let a node outlast a cut, Ray takes a node that lost its power for one that is cut, for days: its
actors wait there for it, and a second node under the name would stand beside it. So the new life has the GCS take the
old one for over before it joins: Ray then starts its actors again wherever their labels let them, here.

``python -m tierflow.runtime.incarnation NAME ADDRESS HEAD start ...`` does that and then is ``ray start ...``, in one
process: importing Ray takes a weak device seconds.
"""

from __future__ import annotations

import sys

import grpc

from tierflow.errors import FabricError
from tierflow.runtime.answering import answers, own_address
from tierflow.runtime.lives import PATIENCE, Lives

__all__ = ["main", "succeed"]

KNOCK = 3.0
"""Seconds that another machine's node may take to accept a connection before it is taken to be gone."""


def succeed(name: str, address: str, lives: Lives) -> None:
    """End the earlier lives of the node ``name``, which joins from ``address`` now.

    A life at this very address is over, since this process stands there. One at another address is over too, as when
    a machine came back with another address, unless something answers there.

    Raises:
        FabricError: another machine is a member under this name.
        grpc.RpcError: the GCS does not answer, or refuses the token.
    """
    for life in lives.of(name):
        if life.address != address and answers(life.place, KNOCK):
            raise FabricError(
                f"the machine at {life.address} is a member under the name {name}",
                "give this machine another --name, or take the other one out first",
            )
        lives.end(life, f"{name} joins again from {address}")


def main() -> None:
    """See the module."""
    name, address, head, *words = sys.argv[1:]
    try:
        succeed(name, address or own_address(head, PATIENCE), Lives(head))
    except (FabricError, OSError, grpc.RpcError) as error:
        sys.exit(f"{name} cannot join: {error}")
    from ray.scripts.scripts import main as ray

    sys.argv = ["ray", *words]
    sys.exit(ray())  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
