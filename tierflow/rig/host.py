"""A host: where the processes of one node run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Host", "entering"]

_ENTER = Path(__file__).with_name("enter.py")


def entering(manner: str, cgroup: Path, namespace: Path | None, argv: Sequence[str]) -> list[str]:
    """The command that becomes `argv` inside a cgroup and a namespace (None: this machine's own network).

    `manner` is "detach", or the number of an open pipe that closes when `argv` is inside and runs.
    """
    place = [str(cgroup), str(namespace or "")]
    return [sys.executable, "-IS", str(_ENTER), manner, *place, *argv]


@dataclass(frozen=True, slots=True)
class Host:
    """One node's place on this machine: its network namespace, its cgroup and its address there."""

    name: str
    address: str
    namespace: Path
    cgroup: Path

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process on the host, in a session of its own.

        It is in the host's namespace and cgroup from its first instruction and when this returns, reads nothing
        (`/dev/null`), and has none of this process's open files and sockets but `stdout` and `stderr`. A program that
        is not there ends with 127.
        """
        running, entered = os.pipe()
        try:
            process = subprocess.Popen(
                entering(str(entered), self.cgroup, self.namespace, argv),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                start_new_session=True,
                pass_fds=[entered],
            )
        except BaseException:
            os.close(running)
            raise
        finally:
            os.close(entered)
        # Until it is in its cgroup, `Rig.kill` and `Rig.down` would not find it.
        with os.fdopen(running, "rb") as pipe:
            pipe.read()
        return process

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a process on the host to its end and keep what it wrote.

        Raises:
            subprocess.CalledProcessError: it ended with another code than 0, and `check` is true.
            subprocess.TimeoutExpired: it did not end within `timeout` seconds; it is killed.
        """
        with self.popen(argv, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        result = subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)
        if check:
            result.check_returncode()
        return result
