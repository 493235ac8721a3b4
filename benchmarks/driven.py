"""A fabric for a benchmark, and drivers that run on one of its hosts and answer with one JSON value."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray
from rich.console import Console
from rich.status import Status

import tierflow
from tierflow.errors import FabricError
from tierflow.rig import Host, Rig
from tierflow.runtime import launch
from tierflow.runtime.record import FabricRecord
from tierflow.topology import ClusterSpec, load

__all__ = ["ROOT", "Running", "answer", "demo", "drive", "free_port", "join", "running", "tell"]

ROOT = Path(__file__).parents[1]
AGENTS = 300.0
"""Seconds that the agents may take until each knows its node."""
_ANSWER, _TOLD = "RESULT", "measured: "


def demo(
    name: str, *, without: tuple[str, ...] = (), quotas: bool = True, uplink: dict[str, float] | None = None
) -> ClusterSpec:
    """The demo's cluster under another name, without some of its nodes and what leads to them.

    Without `quotas` every node may use the whole machine. `uplink` is what the file declares of the plant's uplink in
    place of what the demo's does: rate (bytes per second), delay (seconds).
    """
    spec = load(ROOT / "clusters" / "demo.yaml")
    nodes = [node for node in spec.nodes if node.name not in without]
    if not quotas:
        nodes = [node.model_copy(update={"cpu_quota": None}) for node in nodes]
    links = [link for link in spec.links if not {link.source, link.target} & set(without)]
    if uplink is not None:
        links = [link.model_copy(update=uplink) if link.source == "plant-1" else link for link in links]
    return spec.model_copy(update={"name": name, "nodes": tuple(nodes), "links": tuple(links)})


@dataclass(frozen=True, slots=True)
class Running:
    """A fabric that is up, its rig, and the line that says what is going on."""

    record: FabricRecord
    rig: Rig
    status: Status
    title: str

    def say(self, what: str) -> None:
        """Show what is going on."""
        self.status.update(f"{self.title}: {what}")

    def drive(self, node: str, module: str, *arguments: object, timeout: float) -> Any:
        """Run a module of the benchmarks as a driver on a node, and return what it gave to `answer`.

        Args:
            node: where it runs.
            module: its name, "benchmarks.dispatch_driver".
            arguments: of its command line; what is no text is given as JSON.
            timeout: how long (s) it may take.

        Raises:
            FabricError: it failed or did not end in time.
        """
        return drive(self.rig.hosts[node], launch.driver_environment(self.record), self.say, module, arguments, timeout)

    def emulator_share(self) -> float:
        """The share of a core that the process which carries the packets took, on average since it began."""
        process = psutil.Process(self.rig.control.request("ping")["pid"])
        used = process.cpu_times()
        return float((used.user + used.system) / (time.time() - process.create_time()))


def drive(
    host: Host,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    module: str,
    arguments: Sequence[object],
    timeout: float,
) -> Any:
    """Run a module of the benchmarks on a host; see `Running.drive`. `say` is called with what the driver tells."""
    words = [word if isinstance(word, str) else json.dumps(word) for word in arguments]
    environment = {**environment, "PYTHONPATH": str(ROOT)}
    said: list[str] = []
    with tempfile.TemporaryFile() as output:
        process = host.popen(
            [sys.executable, "-m", module, *words], env=environment, cwd=ROOT, stdout=output, stderr=-1
        )
        late = threading.Timer(timeout, process.kill)
        late.start()
        try:
            assert process.stderr is not None
            for raw in process.stderr:
                line = raw.decode(errors="replace").rstrip()
                said.append(line)
                if line.startswith(_TOLD):
                    say(line.removeprefix(_TOLD))
            code = process.wait()
        finally:
            late.cancel()
            process.kill()
            process.wait()
        output.seek(0)
        text = output.read().decode()
    if code:
        raise FabricError(f"the driver {module} failed ({code}): " + "\n".join(said[-30:]), "see its last lines")
    # Ray may write lines of its own after it.
    return json.JSONDecoder().raw_decode(text.rpartition(_ANSWER)[2])[0]


@contextmanager
def running(spec: ClusterSpec, title: str) -> Iterator[Running]:
    """Bring a fabric up, show what goes on, and take the fabric down whatever happens."""
    with Console(stderr=True).status(f"{title}: starting the fabric") as status:
        record = launch.up(spec, port=free_port(), progress=lambda name, what: status.update(f"{title}: {name} {what}"))
        try:
            yield Running(record, Rig.attach(record.rig), status, title)
        finally:
            status.update(f"{title}: taking down the fabric")
            launch.down(record)


def free_port() -> int:
    """A port for the job API that nothing uses, so that a fabric of the user's own is not in the way."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def join() -> None:
    """In a driver: join the fabric, once its agents know their nodes, which takes a weak one a minute."""
    tierflow.init(log_to_driver=False)
    end = time.monotonic() + AGENTS
    for node in tierflow.nodes():
        while True:
            try:
                agent: Any = ray.get_actor(f"agent/{node.name}", namespace="tierflow")
                ray.get(agent.facts.remote(), timeout=AGENTS)
                break
            except ValueError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
        tell(f"{node.name} is known")


def tell(what: str) -> None:
    """In a driver: say what was just done."""
    print(f"{_TOLD}{what}", file=sys.stderr, flush=True)


def answer(value: object) -> None:
    """In a driver: give the result, once."""
    print(_ANSWER + json.dumps(value), flush=True)
