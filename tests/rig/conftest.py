"""Fixtures of the rig's tests: a state folder that must leave nothing behind, and a rig to use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tierflow.rig import Rig, missing_privilege
from tierflow.rig.cgroups import detect
from tierflow.rig.ledger import Emulation, identity
from tierflow.rig.namespaces import create, names, remove
from tierflow.rig.netem import available
from tierflow.topology import ClusterSpec, parse

PAIR = """
name: pair
hosts: rig
tiers: [device, edge, cloud]
nodes:
  - {name: cloud-1, tier: cloud, site: region-1}
  - {name: gw-1, tier: edge, site: plant-1}
  - {name: cam-1, tier: device, site: plant-1}
links:
  - {from: cam-1, to: plant-1, rate: 50 Mbit/s, delay: 2 ms, radio: wifi}
  - {from: plant-1, to: region-1, rate: 10 Mbit/s, delay: 20 ms, reverse: {rate: 20 Mbit/s}}
"""


def leftovers(state: Path) -> list[str]:
    """What the rig of a state folder has on this machine: namespaces, cgroups, processes and files."""
    hierarchy = detect()
    assert hierarchy is not None
    found = [f"namespace {name}" for name in names(f"tf-{identity(state)}-")]
    if hierarchy.path(identity(state)).exists():
        found.append(f"cgroup {identity(state)} with processes {hierarchy.processes(identity(state))}")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(state) in command and int(process.name) != os.getpid():
            found.append(f"process {process.name}: {command!r}")
    if state.exists():
        found += [f"file {path.name}" for path in state.iterdir() if path.name not in ("emulator.log", "launch.log")]
    return found


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder for one rig; the test fails where the rig leaves anything behind."""
    state = tmp_path / "rig"
    yield state
    assert leftovers(state) == []


@pytest.fixture
def spec() -> ClusterSpec:
    """A camera and a gateway at a plant, a cloud behind an uplink of 10 (down: 20) Mbit/s and 20 ms."""
    return parse(PAIR)


def emulations() -> list[Emulation]:
    """What this machine can shape links with."""
    if missing_privilege():
        return ["tun"]
    probe = f"tf-probe-{os.getpid()}"
    create(probe)
    try:
        return ["tun", "netem"] if available(probe) else ["tun"]
    finally:
        remove(probe)


@pytest.fixture(params=emulations())
def rig(spec: ClusterSpec, state: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A running rig of `spec`, for each emulation that this machine has."""
    with Rig.up(spec, state, emulation=request.param) as rig:
        yield rig
