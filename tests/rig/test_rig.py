from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.rig.in_hosts import ECHO, ask, serving
from tierflow.errors import RigError
from tierflow.rig import Rig, sweep
from tierflow.topology import ClusterSpec

pytestmark = pytest.mark.namespace


def inside(rig: Rig, node: str, program: str) -> str:
    return rig.hosts[node].run([sys.executable, "-IS", "-c", program]).stdout.decode().strip()


def test_a_process_is_in_its_host_from_the_first_instruction(rig: Rig) -> None:
    host = rig.hosts["cam-1"]
    with host.popen(["sleep", "60"]) as process:
        assert Path(f"/proc/{process.pid}/ns/net").stat().st_ino == host.namespace.stat().st_ino
        assert process.pid in [int(line) for line in (host.cgroup / "cgroup.procs").read_text().split()]
        assert os.getsid(process.pid) == process.pid
        assert Path(f"/proc/{process.pid}/cmdline").read_bytes() == b"sleep\x0060\x00"
        process.kill()


def test_a_process_sees_its_own_network_and_none_of_our_files(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)
        port = server.getsockname()[1]
        program = f"import socket; s = socket.socket(); print(s.connect_ex(('127.0.0.1', {port})))"
        assert inside(rig, "cam-1", program) != "0"
        open_files = inside(rig, "cam-1", "import os; print(sorted(os.listdir('/proc/self/fd')))")
    assert open_files == "['0', '1', '2', '3']"  # 3 is the listing itself
    device = "tf0" if rig.config()["emulation"] == "tun" else "link0"
    assert inside(rig, "cam-1", "import socket; print([n for _, n in socket.if_nameindex()])") == f"['lo', '{device}']"


def test_nothing_of_the_rig_is_on_this_machines_own_network(rig: Rig) -> None:
    assert not {"tf0", "link0"} & {name for _, name in socket.if_nameindex()}


def test_a_program_that_is_not_there_says_so(rig: Rig) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        rig.hosts["cam-1"].run(["no-such-program"])
    assert caught.value.returncode == 127
    assert b"cannot run no-such-program" in caught.value.stderr


def test_killing_a_node_ends_all_of_it_and_nothing_else(rig: Rig) -> None:
    host = rig.hosts["cam-1"]
    with (
        host.popen([sys.executable, "-c", "import os, time; os.fork() or os.setsid(); time.sleep(60)"]) as process,
        rig.hosts["gw-1"].popen(["sleep", "60"]) as other,
    ):
        time.sleep(0.3)
        assert len((host.cgroup / "cgroup.procs").read_text().split()) == 2
        rig.kill("cam-1")
        assert process.wait() == -9
        assert (host.cgroup / "cgroup.procs").read_text() == ""
        assert other.poll() is None
        other.kill()
    assert inside(rig, "cam-1", "print('again')") == "again"


def test_a_quota_slows_a_node_and_can_be_lifted(rig: Rig) -> None:
    program = (
        "import time; used = time.process_time(); until = time.monotonic() + 0.6\n"
        "while time.monotonic() < until: pass\n"
        "print(time.process_time() - used)"
    )
    rig.quota("cam-1", 0.2)
    assert float(inside(rig, "cam-1", program)) < 0.6 * 0.3
    rig.quota("cam-1", 0.05)  # under a tenth, where the kernel's least share of a period counts
    assert float(inside(rig, "cam-1", program)) < 0.6 * 0.09
    rig.quota("cam-1", None)
    assert float(inside(rig, "cam-1", program)) > 0.6 * 0.35
    for cores in (0, -1.0, float("nan")):
        with pytest.raises(RigError, match="cannot run on"):
            rig.quota("cam-1", cores)


def test_another_process_attaches_to_the_rig(rig: Rig) -> None:
    other = Rig.attach(rig.state)
    assert other.hosts == rig.hosts
    assert other.alive()
    with pytest.raises(RigError, match="its nodes are"):
        other.kill("nobody")


def test_a_second_up_is_refused_and_leaves_the_first_alone(rig: Rig, spec: ClusterSpec) -> None:
    with pytest.raises(RigError, match="is up already"):
        Rig.up(spec, rig.state)
    with serving(rig.hosts["gw-1"], ECHO):
        assert ask(rig.hosts["cam-1"], rig.hosts["gw-1"])[0] == 1


def test_two_rigs_of_one_file_live_side_by_side(rig: Rig, spec: ClusterSpec, tmp_path: Path) -> None:
    with Rig.up(spec, tmp_path / "other") as other:
        rig.cut("cam-1")
        assert other.control.links()["cam-1->plant-1"]["up"]
        assert other.hosts["cam-1"].namespace != rig.hosts["cam-1"].namespace
    assert rig.alive()


def test_there_is_nothing_to_attach_to_or_to_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere")
    sweep(tmp_path)
    with pytest.raises(RigError, match="there is no rig"):
        Rig.attach(tmp_path)


def test_a_dead_emulator_is_noticed_and_swept(spec: ClusterSpec, state: Path) -> None:
    rig = Rig.up(spec, state)
    os.kill(rig.control.request("ping")["pid"], 9)
    until = time.monotonic() + 5
    while rig.alive() and time.monotonic() < until:
        time.sleep(0.01)
    assert not rig.alive()
    with pytest.raises(RigError, match="no rig answers"):
        rig.cut("cam-1")
    with pytest.raises(RigError, match="does not run"):
        Rig.attach(state)
    with Rig.up(spec, state) as again:  # the next up removes what is left of the first
        assert again.alive()


def test_an_idle_emulator_sleeps(rig: Rig) -> None:
    pid = rig.control.request("ping")["pid"]

    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = used()
    time.sleep(1.0)
    assert used() - before <= 1  # of 100 ticks
