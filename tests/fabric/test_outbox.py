"""Records over a real link that is cut: all of them arrive, once, in the order of their keys."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fabric.conftest import ROOT, Driver
from tierflow.rig import Rig
from tierflow.runtime import launch
from tierflow.runtime.record import FabricRecord

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("measured")]

PUTS = """
    import sys, time, tierflow
    box = tierflow.Outbox("alerts")
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        print(box.put({"n": number}, key=f"cam-{number % 3}", priority=int(number % 7 == 0)), flush=True)
        time.sleep(0.02)
"""

READS = """
    import json, sys, time, tierflow
    inbox = tierflow.Inbox("alerts")
    until = time.monotonic() + float(sys.argv[2])
    while len(found := inbox.read(limit=10**6)) < int(sys.argv[1]) and time.monotonic() < until:
        time.sleep(0.2)
    total = inbox.fold(lambda state, record: state + record.value["n"], 0, name="sum")
    print("RESULT" + json.dumps(dict(total=total, rows=[(r.source, r.key, r.seq, r.value["n"]) for r in found])))
"""


class Programs:
    """Programs on the fabric's hosts."""

    def __init__(self, fabric: FabricRecord, rig: Rig, folder: Path) -> None:
        self._environment = launch.driver_environment(fabric) | {"PYTHONPATH": str(ROOT)}
        self._rig, self._folder = rig, folder

    def start(self, host: str, program: str, *words: object) -> subprocess.Popen[bytes]:
        import textwrap

        path = self._folder / f"{len(list(self._folder.iterdir()))}.py"
        path.write_text(textwrap.dedent(program))
        argv = [sys.executable, str(path), *map(str, words)]
        return self._rig.hosts[host].popen(argv, env=self._environment, cwd=ROOT, stdout=subprocess.PIPE)

    def read(self, *words: object) -> dict[str, Any]:
        with self.start("cloud-1", READS, *words) as reader:
            output, _ = reader.communicate(timeout=120)
        found: dict[str, Any] = json.loads(output.decode().rpartition("RESULT")[2])
        return found


@pytest.fixture
def programs(fabric: FabricRecord, rig: Rig, tmp_path: Path, drive: Driver) -> Programs:
    return Programs(fabric, rig, tmp_path)


def test_what_was_put_through_a_cut_by_a_process_that_was_killed_is_applied_once_in_order(
    programs: Programs, rig: Rig
) -> None:
    with programs.start("cam-1", PUTS, 0, 30) as first:
        acknowledged = [int(line) for line in first.stdout or ()]
    assert acknowledged == list(range(1, 31))
    assert len(programs.read(30, 60)["rows"]) == 30

    with programs.start("cam-1", PUTS, 30, 10_000) as second:
        assert second.stdout is not None
        acknowledged += [int(second.stdout.readline()) for _ in range(20)]
        rig.cut("cam-1")
        try:
            acknowledged += [int(second.stdout.readline()) for _ in range(60)]
            second.kill()
            acknowledged += [int(line) for line in second.stdout if line.endswith(b"\n")]
            time.sleep(4)
        finally:
            rig.heal("cam-1")
            healed = time.monotonic()
    found = programs.read(len(acknowledged), 60)
    print("all there", time.monotonic() - healed, "s after the heal, with the start of a program")
    rows = found["rows"]
    seqs = [seq for _, _, seq, _ in rows]
    assert len(set(seqs)) == len(seqs)
    assert set(acknowledged) <= set(seqs) <= set(range(1, len(acknowledged) + 2))
    assert {source for source, *_ in rows} == {"cam-1"}
    for key in ("cam-0", "cam-1", "cam-2"):
        of_key = [seq for _, own, seq, _ in rows if own == key]
        assert of_key == sorted(of_key)
    assert found["total"] == sum(number for *_, number in rows)
