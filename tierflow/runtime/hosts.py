"""Where the Ray nodes of a fabric run: hosts of the rig, or this machine itself."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from tierflow.topology import ClusterSpec

__all__ = ["Host", "LocalHost", "local_hosts"]


class Host(Protocol):
    """A place with an address that a process can be started at; `rig.Host` is one, `LocalHost` the other."""

    @property
    def name(self) -> str:
        """The node's name."""

    @property
    def address(self) -> str:
        """The address that the other nodes reach it at."""

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process there, in a session of its own."""


@dataclass(frozen=True, slots=True)
class LocalHost:
    """A node on this machine's own network, told from the others by a loopback address of its own."""

    name: str
    address: str

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own."""
        return subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            start_new_session=True,
        )


def local_hosts(spec: ClusterSpec) -> dict[str, LocalHost]:
    """A host for each node: 127.77.0.1, 127.77.0.2 and so on. Ray takes any loopback address but 127.0.0.1 itself."""
    addresses = (f"127.77.{index // 250}.{index % 250 + 1}" for index in range(len(spec.nodes)))
    return {node.name: LocalHost(node.name, address) for node, address in zip(spec.nodes, addresses, strict=True)}
