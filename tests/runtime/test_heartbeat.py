"""Heartbeats over real sockets between real processes: who stops is known to be cut, garbage changes nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tierflow.control import Peer
from tierflow.runtime.heartbeat import Heartbeat
from tierflow.runtime.view import view_file

PROGRAM = """
import sys, time
from pathlib import Path
from tierflow.control import Peer
from tierflow.runtime.heartbeat import Heartbeat
name, address, token, folder, port = sys.argv[1:]
Heartbeat(Peer(name, "edge", "s", address), "127.77.33.1", token, Path(folder), int(port)).start()
time.sleep(60)
"""
HEAD, OTHER = "127.77.33.1", "127.77.33.2"


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((HEAD, 0))
        return int(free.getsockname()[1])


@pytest.fixture
def head(tmp_path: Path, port: int) -> Iterator[Heartbeat]:
    beats = Heartbeat(Peer("cloud-1", "cloud", "r", HEAD), HEAD, "token", tmp_path / "cloud-1", port)
    beats.start()
    yield beats
    beats.stop()


@pytest.fixture
def other(tmp_path: Path, port: int) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    started = []

    def start(token: str) -> subprocess.Popen[bytes]:
        words = ["gw-1", OTHER, token, str(tmp_path / "gw-1"), str(port)]
        started.append(subprocess.Popen([sys.executable, "-c", PROGRAM, *words]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def seen(folder: Path, name: str) -> tuple[set[str], set[str]]:
    """The nodes that a node knows, and those that it takes to be cut off."""
    try:
        view = json.loads(view_file(folder / name).read_text())
    except FileNotFoundError:
        return set(), set()
    return {node["name"] for node in view["nodes"]}, set(view["cut"])


def soon(within: float, holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within
        time.sleep(0.02)
    return time.monotonic() - began


def test_two_processes_know_one_another_a_cut_within_3_s_and_a_heal_within_2(
    tmp_path: Path, head: Heartbeat, other: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    process = other("token")
    both = {"cloud-1", "gw-1"}
    soon(10, lambda: seen(tmp_path, "cloud-1") == seen(tmp_path, "gw-1") == (both, set()))
    os.kill(process.pid, signal.SIGSTOP)
    soon(3, lambda: seen(tmp_path, "cloud-1") == (both, {"gw-1"}))
    os.kill(process.pid, signal.SIGCONT)
    soon(2, lambda: seen(tmp_path, "cloud-1") == (both, set()))
    process.kill()
    process.wait()
    soon(3, lambda: seen(tmp_path, "cloud-1") == (both, {"gw-1"}))
    other("token")  # a later life under the same name
    soon(10, lambda: seen(tmp_path, "cloud-1") == (both, set()))


def test_who_has_another_token_is_not_heard_and_garbage_changes_nothing(
    tmp_path: Path, port: int, head: Heartbeat, other: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    other("another token")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thrower:
        for size in range(400):
            thrower.sendto(os.urandom(size), (HEAD, port))
        thrower.sendto(b"", (HEAD, port))
    soon(10, lambda: seen(tmp_path, "gw-1")[0] == {"gw-1"})
    time.sleep(1.5)
    assert seen(tmp_path, "cloud-1") == ({"cloud-1"}, set())
