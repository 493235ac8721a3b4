"""What comes back, and how: the head with its state, a node without power, a node without the head, all one by one."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.fabric.conftest import ROOT, free_port
from tierflow.rig import Rig
from tierflow.runtime import launch, restarting
from tierflow.runtime.measured import Measurements
from tierflow.runtime.record import FabricRecord, node_folder
from tierflow.runtime.settings import NODE_FOLDER
from tierflow.topology import parse

pytestmark = pytest.mark.namespace

CLUSTER = """
name: back
hosts: rig
nodes:
  - {name: cloud-1, tier: cloud, site: region-1, cpus: 2, cpu_quota: 0.7}
  - {name: gw-1, tier: edge, site: plant-1, cpus: 2, cpu_quota: 0.5}
  - {name: cam-1, tier: device, site: plant-1, cpu_quota: 0.4}
links:
  - {from: cam-1, to: plant-1, rate: 50 Mbit/s, delay: 3 ms}
  - {from: plant-1, to: region-1, rate: 20 Mbit/s, delay: 10 ms}
"""

MAKE = """
    import threading, time, ray, tierflow

    @tierflow.actor(node="gw-1", name="model", namespace="site", lifetime="detached", max_restarts=-1, num_cpus=0)
    class Model:
        def __init__(self): self.calls = 0
        def predict(self): self.calls += 1; return self.calls

    @tierflow.actor(node="cam-1", name="camera", namespace="site", lifetime="detached", max_restarts=-1, num_cpus=0)
    class Camera:
        "Calls the model of its site ten times a second, and says how long the longest pause was."
        def __init__(self, model):
            self.model, self.seen, self.gap = model, 0, 0.0
            threading.Thread(target=self.run, daemon=True).start()
        def run(self):
            last = time.monotonic()
            while True:
                try:
                    ray.get(self.model.predict.remote(), timeout=5)
                    now = time.monotonic()
                    self.seen, self.gap, last = self.seen + 1, max(self.gap, now - last), now
                except ray.exceptions.RayError:
                    pass
                time.sleep(0.1)
        def report(self):
            return self.seen, self.gap

    @tierflow.actor(node="cam-1", name="counter", namespace="site", resident=True, num_cpus=0)
    class Counter:
        def __init__(self, first): self.at = first
        def add(self): self.at += 1; return self.at

    model = Model.remote()
    camera, counter = Camera.remote(model), Counter.remote(100)
    print(tierflow.get(counter.add.remote()))
    while tierflow.get(camera.report.remote())[0] < 5:
        time.sleep(0.2)
"""

LOOK = """
    import ray, tierflow
    tierflow.init(log_to_driver=False)
    get = lambda name, method: ray.get(getattr(ray.get_actor(name, namespace="site"), method).remote(), timeout=20)
    seen, gap = get("camera", "report")
    registry = ray.get(ray.get_actor("registry", namespace="tierflow").known.remote(), timeout=20)[1]
    print(seen, gap, get("model", "predict"), get("counter", "add"), len([n for n in tierflow.nodes() if n.alive]))
    print(sorted(registry.nodes))
"""

ADD = """
    import ray, tierflow
    tierflow.init(log_to_driver=False)
    print(ray.get(ray.get_actor("counter", namespace="site").add.remote(), timeout=20), len(tierflow.nodes()))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def back(state: Path) -> Iterator[FabricRecord]:
    record = launch.up(parse(CLUSTER), port=free_port(), progress=lambda name, what: None)
    yield record
    launch.down(record)


@pytest.fixture(scope="module")
def hosts(back: FabricRecord) -> Rig:
    return Rig.attach(back.rig)


@pytest.fixture(scope="module")
def run(back: FabricRecord, hosts: Rig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program on a host, as a service of that node."""
    folder = tmp_path_factory.mktemp("programs")

    def program(text: str, *, host: str = "cloud-1", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        path = folder / f"{len(list(folder.iterdir()))}.py"
        path.write_text(textwrap.dedent(text))
        environment = launch.driver_environment(back) | {
            "PYTHONPATH": str(ROOT),
            NODE_FOLDER: str(node_folder(Path(back.state), host)),
        }
        argv = [sys.executable, str(path)]
        done = hosts.hosts[host].run(argv, env=environment, cwd=ROOT, timeout=timeout, check=False)
        return subprocess.CompletedProcess(argv, done.returncode, done.stdout.decode(), done.stderr.decode())

    return program


@pytest.fixture(scope="module", autouse=True)
def made(run: Run) -> None:
    done = run(MAKE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["101"]


def until(look: Callable[[], str], want: Callable[[str], bool], patience: float) -> float:
    """Seconds until what is looked at is as wanted."""
    began = time.monotonic()
    while not want(found := look()):
        assert time.monotonic() < began + patience, found
        time.sleep(0.3)
    return time.monotonic() - began


def test_the_head_comes_back_with_its_state_while_its_sites_go_on(back: FabricRecord, run: Run) -> None:
    until(lambda: str(Measurements.read(Path(back.state)).nodes.get("gw-1")), lambda row: "speed" in row, 40)
    before = run(LOOK)
    assert before.returncode == 0, before.stderr
    (gcs,) = (p for p in psutil.process_iter(["name"]) if p.info["name"] == "gcs_server" and _of(p, back))
    gcs.kill()
    away = until(lambda: run(LOOK).stdout, lambda said: len(said.splitlines()) == 2, 60)
    after = run(LOOK)
    print(f"GCS killed: a new driver had joined and called after {away:.1f} s; {before.stdout} {after.stdout}")
    seen, _, model, counter, alive = after.stdout.splitlines()[0].split()
    assert int(seen) > int(before.stdout.split()[0])
    assert int(model) > 5  # it went on: it was not started again
    assert int(counter) >= 103
    assert int(alive) == 3
    assert float(run(LOOK).stdout.split()[1]) < 2
    assert "'gw-1'" in after.stdout.splitlines()[1]


def test_a_node_without_power_comes_back_under_its_name_with_its_actors(
    back: FabricRecord, hosts: Rig, run: Run
) -> None:
    hosts.kill("gw-1")
    steps = list(restarting.restart(FabricRecord.read(Path(back.state)), ["gw-1"], drain=0, within=60))
    print(*steps, sep="\n")
    assert [step.what for step in steps] == ["starting", "joined", "back"], steps
    until(lambda: run(LOOK).stdout, lambda said: said.split()[4:5] == ["3"], 30)
    seen, _, model, *_ = run(LOOK).stdout.split()
    assert int(model) < int(seen)  # made anew, while the camera went on
    names = [member.name for member in back.head_interface().members() if member.alive]
    assert sorted(names) == ["cam-1", "cloud-1", "gw-1"]


def test_a_node_that_starts_without_the_head_serves_its_own_and_then_joins(
    back: FabricRecord, hosts: Rig, run: Run
) -> None:
    island = node_folder(Path(back.state), "cam-1") / "island"
    hosts.cut("cam-1")
    try:
        hosts.kill("cam-1")
        began = time.monotonic()
        launch.boot(FabricRecord.read(Path(back.state)), "cam-1")
        until(lambda: str(island.exists()), lambda there: there == "True", 60)
        alone = run(ADD, host="cam-1")
        answered = time.monotonic() - began
        assert alone.stdout.split() == ["101", "1"], alone.stderr + (Path(back.state) / "cam-1.log").read_text()[-9000:]
    finally:
        hosts.heal("cam-1")
    healed = time.monotonic()
    until(lambda: run(ADD).stdout, lambda said: said.split()[1:] == ["3"], 60)
    joined = time.monotonic() - healed
    print(f"a resident answered {answered:.1f} s after the power came, in the fabric {joined:.1f} s after the heal")
    assert not island.exists()
    at, members = map(int, run(ADD, host="cam-1").stdout.split())
    assert (100 < at < 110, members) == (True, 3)


def test_another_machine_does_not_take_the_name_of_one_that_is_there(back: FabricRecord, hosts: Rig) -> None:
    argv = [sys.executable, "-m", "tierflow.runtime.incarnation", "gw-1", "", back.head, "start"]
    done = hosts.hosts["cam-1"].run(argv, env=launch.driver_environment(back), cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 1
    assert "is a member under the name gw-1; give this machine another --name" in done.stderr.decode()


STREAM = """
    import json, sys, threading, time, ray, tierflow
    tierflow.init(log_to_driver=False)

    @tierflow.task(tier=("edge", "cloud"))
    def task(n): return n

    model = ray.get_actor("model", namespace="site")
    calls = {"task": lambda n: task.remote(n), "model": lambda n: model.predict.remote()}
    until = time.monotonic() + float({seconds})
    told = dict(answered=0, retried=0, lost=0, longest=0.0)
    def stream(call):
        n = 0
        while time.monotonic() < until:
            n, began, tries = n + 1, time.monotonic(), 0
            while tries < 300:
                try:
                    ray.get(call(n), timeout=30)
                    break
                except (ray.exceptions.RayError, tierflow.TierflowError):
                    tries += 1
                    time.sleep(0.2)
            told["answered" if tries < 300 else "lost"] += 1
            told["retried"] += tries
            told["longest"] = max(told["longest"], time.monotonic() - began)
            time.sleep(0.05)
    threads = [threading.Thread(target=stream, args=(call,)) for call in calls.values()]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    print("TOLD" + json.dumps(told))
"""


def test_nodes_restart_one_by_one_under_load_and_no_call_is_lost(back: FabricRecord, hosts: Rig, run: Run) -> None:
    with ThreadPoolExecutor(1) as aside:
        stream = aside.submit(run, STREAM.replace("{seconds}", "50"), host="cam-1", timeout=85)
        time.sleep(4)
        steps = list(restarting.restart(FabricRecord.read(Path(back.state)), ["gw-1", "cloud-1"], drain=5, within=120))
        done = stream.result()
    print(*steps, done.stdout.partition("TOLD")[2].partition("}")[0], sep="\n")
    assert [step.node for step in steps if step.what == "back"] == ["gw-1", "cloud-1"]
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.partition("TOLD")[2].splitlines()[0])
    assert told["lost"] == 0, told
    assert told["answered"] > 100


def test_every_node_means_the_head_last(back: FabricRecord) -> None:
    assert restarting.in_order(back) == ["cam-1", "gw-1", "cloud-1"]


def _of(process: psutil.Process, record: FabricRecord) -> bool:
    try:
        return process.environ().get("TIERFLOW_FABRIC") == record.state
    except psutil.Error:
        return False
