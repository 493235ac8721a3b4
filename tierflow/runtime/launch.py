"""Start a fabric on this machine and take it down again, leaving nothing behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import psutil

from tierflow.errors import FabricError
from tierflow.rig import LinkControl, Rig, sweep
from tierflow.runtime import gateway
from tierflow.runtime.door import DOOR_PORT
from tierflow.runtime.grants import Grants
from tierflow.runtime.hosts import Host, LocalHost, local_hosts
from tierflow.runtime.keys import Keys, tls_environment
from tierflow.runtime.node import HEAD_PORT, JOB_PORT, RIG_OBJECT_STORE, NodeStart
from tierflow.runtime.record import (
    REGISTRY_UP,
    FabricRecord,
    make_private,
    node_folder,
    ray_folder,
    records,
    state_folder,
)
from tierflow.runtime.scope import keep_site_secret
from tierflow.runtime.settings import (
    FABRIC,
    NODE_FOLDER,
    RIG,
    child_environment,
    head_environment,
    make_token,
    ray_environment,
    transfer_environment,
)
from tierflow.runtime.tcp import kernel_can
from tierflow.topology import ClusterSpec, Member, NodeSpec, Topology, dump
from tierflow.trust import STARTED, Claim

__all__ = [
    "Progress",
    "boot",
    "clean",
    "down",
    "driver_environment",
    "host_of",
    "is_watched",
    "link_traffic",
    "up",
]

Progress = Callable[[str, str], None]
"""Called with a node's name (or the fabric's) and what is happening to it."""

WORKER_PORTS = range(10002, 20000)
"""The ports that `ray start` hands out to workers where it is told no others."""

ANOTHER_HEAD = "end what listens there; another fabric of yours ends with `tierflow down --all`"

POLL = 0.3
"""Seconds between two looks at which nodes have come up."""


def up(spec: ClusterSpec, *, port: int = JOB_PORT, timeout: float = 180.0, progress: Progress) -> FabricRecord:
    """Start the head and the nodes of a cluster file; returns when each of them is a member.

    With ``hosts: machines`` only the head is started, on this machine; the others come with ``tierflow join``.

    Args:
        spec: the cluster.
        port: where the dashboard and the job API answer on 127.0.0.1.
        timeout: how long (s) all of it may take.
        progress: told of each step.

    Raises:
        FabricError: the fabric is up already, the port is taken, or a node did not come up in time.
        RigError: the hosts cannot be made here.
    """
    state = state_folder(spec.name)
    for record in records():
        if record.name == spec.name and _running(record):
            raise FabricError(f"the fabric {spec.name!r} is up already", "use it, or take it down with `tierflow down`")
    clean(spec.name)
    if port in WORKER_PORTS:
        raise FabricError(f"port {port} is one that Ray gives to its workers", "name another with --port")
    _port_must_be_free("127.0.0.1", port, "end what listens there, or name another port with --port")
    state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # Ray's sockets in it are open to all
    state.mkdir(mode=0o700)
    (state / "cluster.yaml").write_text(dump(spec))
    draft = FabricRecord(spec.name, str(state), spec.hosts, "", f"http://127.0.0.1:{port}", {}, ready=False)
    draft.save()  # so that `down` finds whatever is made from here on
    try:
        return _start(spec, draft, port, time.monotonic() + timeout, progress)
    except BaseException:
        progress(spec.name, "taking down what was started")
        clean(spec.name)
        raise


def down(record: FabricRecord) -> None:
    """End every process of the fabric and remove all that was made for it."""
    clean(record.name)


def boot(record: FabricRecord, name: str) -> FabricRecord:
    """Start a node of this machine again whose supervisor is gone, as a service manager does when a machine starts.

    Returns at once: the node is a member some seconds later.

    Raises:
        FabricError: there is no such node on this machine, or it is watched already.
    """
    if name not in record.supervisors:
        here = ", ".join(record.supervisors)
        raise FabricError(f"no node {name!r} of the fabric {record.name} is on this machine", f"here are: {here}")
    if is_watched(record, name):
        raise FabricError(f"the node {name} is being watched, and comes back by itself", "see `tierflow status`")
    state = Path(record.state)
    start = NodeStart.read(state / f"{name}.json")
    pid = _supervise(start, host_of(record, start), state, child_environment(_own_environment(record, name)))
    again = replace(record, supervisors={**record.supervisors, name: pid})
    again.save()
    return again


def is_watched(record: FabricRecord, name: str) -> bool:
    """Whether the supervisor of a node of this machine runs."""
    return _is_running(record.supervisors[name])


def host_of(record: FabricRecord, start: NodeStart) -> Host:
    """Where a node of this machine runs."""
    return Rig.attach(record.rig).hosts[start.name] if record.hosts == "rig" else LocalHost(start.name, start.address)


def link_traffic(record: FabricRecord) -> dict[str, dict[str, int]]:
    """Bytes, packets and dropped packets of each directed link since the start; empty where no rig shapes the links."""
    if record.hosts != "rig":
        return {}
    return {name: asdict(counters) for name, counters in LinkControl(record.rig).counters().items()}


def driver_environment(record: FabricRecord, node: str | None = None) -> dict[str, str]:
    """The environment of a program that is to join the fabric from one of its hosts: that of `node`, or the head's."""
    return child_environment(_own_environment(record, node or record.spec().head.name) | {"RAY_ADDRESS": record.head})


def clean(name: str) -> None:
    """Remove whatever there is of the fabric called ``name``, also what a killed launcher left."""
    state = state_folder(name)
    _end_processes(str(state))
    sweep(state / "rig")
    folders = state / "ray-folders"
    if folders.exists():
        for folder in folders.read_text().splitlines():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(f"{folder}i", ignore_errors=True)  # of its island
    shutil.rmtree(state, ignore_errors=True)
    for empty in (state.parent / "ray", state.parent):
        with suppress(OSError):  # not empty: another fabric is in it
            empty.rmdir()


def _start(spec: ClusterSpec, draft: FabricRecord, port: int, deadline: float, progress: Progress) -> FabricRecord:
    state = Path(draft.state)
    (state / "ray-folders").write_text("\n".join(str(ray_folder(spec.name, node.name)) for node in spec.nodes))
    make_token(state / "token")
    rig, hosts = _make_hosts(spec, state, progress)
    starts = _node_starts(spec, hosts, port)
    head = starts[spec.head.name]
    record = replace(draft, head=head.head)
    if rig is not None:
        rig.forward({port: (head.name, port)})
    _trust(spec, state, starts.values())
    for node in spec.nodes:
        if node.gateway is not None and node.name in starts:
            gateway.open_at(node_folder(state, node.name), node.gateway, starts[node.name].address)

    for batch in ([head], [start for start in starts.values() if start is not head]):
        for start in batch:
            progress(start.name, "starting Ray")
            environment = child_environment(_own_environment(record, start.name))
            record.supervisors[start.name] = _supervise(start, hosts[start.name], state, environment)
            record.save()
        _wait_for(record, [start.name for start in batch], deadline, progress)
    _wait_for_registry(record, head.name, deadline)
    if rig is not None:
        _slow_down(rig, spec.nodes)
    ready = replace(record, ready=True)
    ready.save()
    return ready


def _own_environment(record: FabricRecord, node: str) -> dict[str, str]:
    rig = {RIG: str(record.rig)} if record.hosts == "rig" else {}
    state = Path(record.state)
    tls = tls_environment(node_folder(state, node)) if Keys(state).encrypted else {}
    patient = kernel_can() if record.hosts == "rig" else None
    transfers = transfer_environment(Topology.of(record.spec()), node)
    return ray_environment(record.token, patient=patient) | transfers | tls | {FABRIC: record.state} | rig


def _trust(spec: ClusterSpec, state: Path, starts: Collection[NodeStart]) -> None:
    """Make the fabric's keys, and give the nodes that are started here what those that join get at the door."""
    keys = Keys(state)
    keys.make(spec.name, encrypted=spec.encrypted)
    Grants(state).admit([(Claim(start.name, start.tier, start.site, start.address), STARTED) for start in starts])
    for start in starts:
        keep_site_secret(node_folder(state, start.name), start.site, keys.of_site(start.site))
        if spec.encrypted:
            keys.equip(start.name, start.address)


def _make_hosts(spec: ClusterSpec, state: Path, progress: Progress) -> tuple[Rig | None, Mapping[str, Host]]:
    if spec.hosts == "rig":
        progress(spec.name, "making hosts and links")
        rig = Rig.up(spec, state / "rig")
        for node in spec.nodes:
            rig.quota(node.name, None)
        return rig, rig.hosts
    if spec.hosts == "local":
        hosts = local_hosts(spec)
        _ports_must_be_free(hosts[spec.head.name].address)
        return None, hosts
    address = spec.head.address or ""
    _address_must_be_ours(spec.head.name, address)
    _ports_must_be_free(address)
    return None, {spec.head.name: LocalHost(spec.head.name, address)}


def _slow_down(rig: Rig, nodes: Sequence[NodeSpec]) -> None:
    """Give each host the speed that it was declared with: it holds from here on, so that weak nodes start quickly."""
    for node in nodes:
        rig.quota(node.name, node.cpu_quota)


def _node_starts(spec: ClusterSpec, hosts: Mapping[str, Host], port: int) -> dict[str, NodeStart]:
    head = f"{hosts[spec.head.name].address}:{HEAD_PORT}"
    on_this_machine = spec.hosts != "machines"
    return {
        node.name: NodeStart(
            name=node.name,
            tier=node.tier,
            site=node.site,
            head=head,
            is_head=node.name == spec.head.name,
            address=hosts[node.name].address,
            cpus=node.cpus,
            gpus=node.gpus,
            memory=node.memory,
            object_store=RIG_OBJECT_STORE if on_this_machine else None,
            folder=str(ray_folder(spec.name, node.name)),
            dashboard=port,
        )
        for node in spec.nodes
        if node.name in hosts
    }


def _supervise(start: NodeStart, host: Host, state: Path, environment: Mapping[str, str]) -> int:
    environment = {**environment, NODE_FOLDER: str(node_folder(state, start.name))}
    if start.is_head:
        environment = {**environment, **head_environment(state / "gcs")}
    make_private(Path(start.folder))
    file = start.save(state / f"{start.name}.json")
    with (state / f"{start.name}.log").open("ab") as log:
        argv = [sys.executable, "-m", "tierflow.runtime.supervise", str(file)]
        process = host.popen(argv, env=environment, stdout=log, stderr=subprocess.STDOUT)
    process.returncode = 0  # it outlives this process on purpose; without it Popen warns of a forgotten child
    return process.pid


def _wait_for(record: FabricRecord, names: Sequence[str], deadline: float, progress: Progress) -> None:
    """Wait until every node named is a member; a supervisor that ends, or the deadline, is an error."""
    waiting = set(names)
    while waiting:
        for name in sorted(waiting & _alive(record)):
            waiting.discard(name)
            progress(name, "is up")
        for name in sorted(waiting):
            if not _is_running(record.supervisors[name]):
                raise FabricError(f"the Ray node of {name} ended while it started", _last_words(record, name))
        if waiting and time.monotonic() > deadline:
            name = min(waiting)
            raise FabricError(f"{', '.join(sorted(waiting))} did not come up in time", _last_words(record, name))
        if waiting:
            time.sleep(POLL)


def _wait_for_registry(record: FabricRecord, head: str, deadline: float) -> None:
    """Wait until calls can be placed: the head's supervisor starts the registry."""
    while not (Path(record.state) / REGISTRY_UP).exists():
        if time.monotonic() > deadline:
            raise FabricError("the registry did not come up in time", _last_words(record, head))
        time.sleep(POLL)


def _alive(record: FabricRecord) -> set[str]:
    try:
        members: tuple[Member, ...] = record.head_interface().members(timeout=5)
    except FabricError:
        return set()
    return {member.name for member in members if member.alive}


def _last_words(record: FabricRecord, name: str) -> str:
    log = Path(record.state) / f"{name}.log"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "its log ends with: " + (" / ".join(lines[-3:]) or "(nothing)")


def _running(record: FabricRecord) -> bool:
    return any(_is_running(pid) for pid in record.supervisors.values())


def _is_running(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "tierflow" in " ".join(process.cmdline())
    return False


def _end_processes(state: str) -> None:
    """Kill every process that carries the fabric's mark in its environment, whoever its parent is by now."""
    for _ in range(5):
        marked = [process for process in psutil.process_iter() if _is_marked(process, state)]
        if not marked:
            return
        for process in marked:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(marked, timeout=3)


def _is_marked(process: psutil.Process, state: str) -> bool:
    if process.pid == os.getpid():
        return False
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(FABRIC) == state
    return False


def _port_must_be_free(address: str, port: int, mend: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise FabricError(f"port {port} of {address} is taken ({error.strerror})", mend) from None


def _ports_must_be_free(head: str) -> None:
    for port in (HEAD_PORT, DOOR_PORT):
        _port_must_be_free(head, port, ANOTHER_HEAD)


def _address_must_be_ours(name: str, address: str) -> None:
    ours = {entry.address for entries in psutil.net_if_addrs().values() for entry in entries}
    if address not in ours:
        raise FabricError(
            f"the head {name} is at {address or 'no address'}, which is not an address of this machine",
            f"run `tierflow up` on {name}, or correct its address in the cluster file",
        )
