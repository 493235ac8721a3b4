"""What the agent says of its own node; the rest needs peers, and is in tests/fabric."""

from __future__ import annotations

import pickle
import socket
from pathlib import Path

import psutil
import pytest

from tierflow.runtime.agent import Agent
from tierflow.runtime.hardware import Device, hardware
from tierflow.runtime.speed import Measured, remember
from tierflow.topology.column import Value


def test_the_facts_join_what_is_read_and_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERFLOW_CACHE", str(tmp_path))
    remember(hardware(), Measured(Value(0.5, 0.02), (Device("some GPU", 2**33),)))
    facts = Agent("cam-1").facts()
    assert facts.speed == Value(0.5, 0.02)
    assert facts.hardware.devices == (Device("some GPU", 2**33),)
    assert facts.hardware.cores == psutil.cpu_count()
    assert pickle.loads(pickle.dumps(facts)) == facts


def test_it_knocks_at_a_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        took = Agent("cam-1").round_trip(*server.getsockname())
    assert took is not None
    assert took > 0


def test_it_can_stop_what_it_never_began() -> None:
    Agent("cam-1").rest()
