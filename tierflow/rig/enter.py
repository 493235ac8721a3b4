"""Become a program inside a host: join its cgroup and network namespace, then exec.

Run as a file (`python -IS enter.py MANNER CGROUP NAMESPACE PROGRAM [ARGUMENT...]`), so that it starts in milliseconds
and imports nothing of tierflow. The program takes its place: no extra process stays. An empty NAMESPACE is this
machine's own network. MANNER "detach" forks once and leaves the program to init, in a session of its own; a number is a
pipe that closes when the program is inside and runs, or cannot be run.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["enter"]

_CLONE_NEWNET = 0x40000000
_CANNOT_ENTER, _CANNOT_RUN = 126, 127


def enter(cgroup: str, namespace: str) -> None:
    """Move this process into the cgroup at path `cgroup` and the network namespace at path `namespace`.

    Raises:
        OSError: one of them does not exist, or this process may not join it.
    """
    with open(f"{cgroup}/cgroup.procs", "w") as members:  # noqa: PTH123 - pathlib doubles the time to start
        members.write("0")
    if not namespace:
        return
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace)
    finally:
        os.close(descriptor)


def _main(arguments: list[str]) -> int:
    manner, cgroup, namespace, *program = arguments
    if manner != "detach":
        os.set_inheritable(int(manner), False)
    try:
        enter(cgroup, namespace)
    except OSError as error:
        print(f"cannot enter the host: {error}", file=sys.stderr)
        return _CANNOT_ENTER
    if manner == "detach":  # only now: once the caller sees this process end, the program is in its cgroup
        if os.fork():
            return 0
        os.setsid()
    try:
        os.execvp(program[0], program)
    except OSError as error:
        print(f"cannot run {program[0]}: {error}", file=sys.stderr)
        return _CANNOT_RUN


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
