"""The busy share of this machine with a real busy process, inside and outside the fabric."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.rig.cgroups import detect
from tierflow.runtime.limits import Quota
from tierflow.runtime.load import STEP, Load, Steps
from tierflow.runtime.settings import FABRIC

BUSY = "while True: pass"
WINDOW = 0.8
PARENT = """
import subprocess, sys
print("ready", flush=True); input()
subprocess.run([sys.executable, "-S", "-c", "import time\\nwhile time.process_time() < .5: pass"], check=True)
print("ended", flush=True); input()
"""


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A process that keeps a core busy."""
    with subprocess.Popen([sys.executable, "-S", "-c", BUSY]) as process:
        yield process
        process.kill()


def seconds(process: subprocess.Popen[bytes]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def share(load: Load, window: float = WINDOW) -> float:
    assert load.sample() is None
    time.sleep(window)
    found = load.sample()
    assert found is not None
    return found


def test_a_busy_process_counts_unless_it_is_the_fabrics(busy: subprocess.Popen[bytes]) -> None:
    fabric, nothing = Load(root=os.getpid()), Load(root=1 << 30)
    spent, began = seconds(busy), time.monotonic()
    nothing.sample()
    others = share(fabric)
    everyone = nothing.sample()
    took = (seconds(busy) - spent) / (time.monotonic() - began)  # other tests may keep it from a whole core
    assert everyone is not None
    assert everyone - others == pytest.approx(took / fabric.cores, abs=0.1)


def test_a_fabrics_process_that_ended_is_not_taken_for_another() -> None:
    # A root of the test's own: what else pytest has running below it is not to count.
    argv = [sys.executable, "-S", "-c", PARENT]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as root:
        assert root.stdin is not None
        assert root.stdout is not None
        fabric, nothing = Load(root=root.pid), Load(root=1 << 30)
        assert root.stdout.readline() == b"ready\n"
        fabric.sample()
        nothing.sample()
        began = time.monotonic()
        root.stdin.write(b"\n")
        root.stdin.flush()
        assert root.stdout.readline() == b"ended\n"
        others, everyone = fabric.sample(), nothing.sample()
        took = time.monotonic() - began
        root.kill()
    assert others is not None
    assert everyone is not None
    assert everyone - others == pytest.approx(0.5 / took / fabric.cores, abs=0.1)


def test_a_sample_is_cheap() -> None:
    load = Load(root=os.getpid())
    load.sample()
    began = time.process_time()
    for _ in range(20):
        load.sample()
    each = (time.process_time() - began) / 20
    assert each / 5.0 < 0.003 * 0.2  # one every 5 s, on a node that has a fifth of a core


@pytest.mark.namespace
def test_a_program_of_the_fabric_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FABRIC, "/tmp/some-fabric")
    with subprocess.Popen([sys.executable, "-S", "-c", BUSY]) as program:
        try:
            time.sleep(0.1)  # its environment is its own only once it runs
            load = Load(root=1 << 30)
            load.sample()
            assert load._ours[program.pid]
            monkeypatch.delenv(FABRIC)
            with subprocess.Popen([sys.executable, "-S", "-c", BUSY]) as other:
                time.sleep(0.1)
                load.sample()
                assert not load._ours[other.pid]
                other.kill()
        finally:
            program.kill()


def test_a_node_held_to_a_quota_counts_what_is_in_its_group(busy: subprocess.Popen[bytes]) -> None:
    hierarchy = detect()
    assert hierarchy is not None
    if not hierarchy.quotas:
        pytest.skip("this kernel gives no CPU controller here")
    name = f"test-load-{os.getpid()}"
    hierarchy.make(f"{name}/cam-1")
    folder = hierarchy.path(f"{name}/cam-1")
    try:
        hierarchy.quota(f"{name}/cam-1", 0.2)
        held = Quota(0.2, folder)
        assert share(Load(root=1 << 30, quota=held), 0.3) == 0.0
        (folder / "cgroup.procs").write_text(str(busy.pid))
        assert share(Load(root=1 << 30, quota=held)) > 0.7
        assert share(Load(root=os.getpid(), quota=held)) < 0.1
    finally:
        hierarchy.remove(name)


def told(*shares: float) -> list[float | None]:
    steps = Steps()
    values = [steps.take(share) for share in shares]
    return [None if value is None else round(value.value, 3) for value in values]


def test_an_idle_node_and_a_steady_one_say_so_once() -> None:
    assert told(0.0, 0.0, 0.05, 0.09, 0.02) == [None, 0.0, None, None, None]
    assert told(0.5, 0.5, 0.52, 0.45, 0.55) == [None, 0.5, None, None, None]


def test_a_burst_of_one_sample_says_nothing_and_an_end_is_told_too() -> None:
    assert told(0.0, 0.0, 0.9, 0.0, 0.9, 0.0) == [None, 0.0, None, None, None, None]
    assert told(0.6, 0.8, 0.0, 0.0, 0.0) == [None, 0.7, None, 0.0, None]


def test_a_share_that_swings_around_the_last_one_says_nothing() -> None:
    assert told(0.5, 0.5, 0.2, 0.8, 0.2, 0.8) == [None, 0.5, None, None, None, None]


@given(st.lists(st.floats(0, 0.99), max_size=50))
def test_two_samples_far_on_one_side_are_always_told(shares: list[float]) -> None:
    steps = Steps()
    for before, share in zip([None, *shares], shares, strict=False):
        believed = steps.told
        value = steps.take(share)
        if believed is None or before is None:
            assert (value is not None) == (before is not None)
            continue
        far = min(abs(share - believed), abs(before - believed)) > STEP
        assert (value is not None) == (far and (share > believed) == (before > believed))
        assert value is None or (0 <= value.value < 1 and value.deviation > 0)
