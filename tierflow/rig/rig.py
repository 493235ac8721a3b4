"""The rig: hosts with addresses, CPU quotas and shaped links on this one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from tierflow.errors import RigError
from tierflow.rig import namespaces, netem
from tierflow.rig.cgroups import detect
from tierflow.rig.control import CONFIG, LinkControl
from tierflow.rig.forward import listeners
from tierflow.rig.host import Host, entering
from tierflow.rig.ledger import Emulation, Ledger, Started, identity, locked, write_durably
from tierflow.rig.namespaces import FOLDER, InterfaceCounters
from tierflow.rig.plan import LARGEST_MTU, addresses, mtus, plan
from tierflow.rig.privilege import missing_privilege
from tierflow.rig.shaping import LineCounters
from tierflow.rig.sweep import remove, sweep
from tierflow.rig.trace import TraceRow
from tierflow.topology import ClusterSpec, Topology

__all__ = ["LOG", "Progress", "Rig"]

Progress = Callable[[str, float], None]
"""Told what is done next and which share of the work is behind."""
LOG = "emulator.log"
"""The name of the file in the state folder that the emulator writes its troubles to."""
_BARE = Path(__file__).with_name("bare.py")
_PATIENCE = 15.0


class Rig:
    """A running rig. `Rig.up` makes one, `Rig.attach` finds one; `down`, or the end of a `with` block, removes it.

    Without a `with` block it outlives the process that made it.
    """

    def __init__(self, state: Path, ledger: Ledger) -> None:
        self.state = state
        self.control = LinkControl(state)
        self._ledger = ledger
        hosts = {
            name: Host(name, address, FOLDER / ledger.namespace(name), ledger.hierarchy.path(ledger.group(name)))
            for name, address in ledger.addresses.items()
        }
        self.hosts: Mapping[str, Host] = MappingProxyType(hosts)

    @classmethod
    def up(
        cls,
        spec: ClusterSpec,
        state: str | Path,
        progress: Progress | None = None,
        *,
        emulation: Emulation | None = None,
    ) -> Rig:
        """Make the hosts and links of a cluster; `state` is the folder that keeps what is needed to find them again.

        `emulation` says what shapes the links; None: netem where the kernel has it and the cluster's paths suit it,
        else the emulator with TUN devices. What a rig that is no longer in use left in the folder is removed first.
        When this fails or is interrupted, nothing stays behind.

        Raises:
            RigError: privilege is missing, the folder holds a rig in use, or something cannot be made.
        """
        if lacks := missing_privilege():
            raise RigError(
                f"a rig needs {lacks}", "run it as root, or use a cluster file with 'hosts: local', which needs nothing"
            )
        state = Path(state).absolute()
        state.mkdir(parents=True, exist_ok=True)
        with locked(state):
            found = Ledger.read(state)
            if found is not None and found.in_use:
                raise RigError(
                    f"the rig {found.fabric!r} is up already in {state}", "take it down first: tierflow rig down"
                )
            remove(state)
            try:
                return cls(state, _make(spec, state, progress or (lambda what, share: None), emulation))
            except (OSError, subprocess.CalledProcessError) as error:
                remove(state)
                raise RigError(f"the rig cannot be made ({error})", "see the reason in parentheses") from error
            except BaseException:
                remove(state)
                raise

    @classmethod
    def attach(cls, state: str | Path) -> Rig:
        """The rig that runs in `state`, from any process of this machine.

        Raises:
            RigError: there is none, or its emulator died.
        """
        state = Path(state).absolute()
        ledger = Ledger.read(state)
        if ledger is None:
            raise RigError(f"there is no rig in {state}", "bring one up: tierflow rig up FILE")
        if ledger.emulator is None or not ledger.emulator.runs():
            raise RigError(f"the emulator of the rig in {state} does not run", "remove the rest: tierflow rig down")
        return cls(state, ledger)

    def __enter__(self) -> Rig:
        """Tie the rig to this process: when it is gone, the next `up` removes the rig and makes another."""
        self._record(owner=Started.of(os.getpid()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """End every process of the hosts and the rig, and remove all that was made."""
        sweep(self.state)

    def alive(self) -> bool:
        """Whether the emulator runs. Where not, no packet passes between hosts, and `down` is all that is left."""
        return self._ledger.emulator is not None and self._ledger.emulator.runs()

    def kill(self, node: str) -> None:
        """End every process of a node at once, as a loss of power does. New ones can be started on it."""
        self._ledger.hierarchy.kill(self._ledger.group(self._host(node).name))

    def quota(self, node: str, cores: float | None) -> None:
        """Let a node use `cores` cores from now on; None: all there are. Raises `RigError` without a CPU cgroup."""
        if cores is not None and not cores > 0:
            raise RigError(f"a node cannot run on {cores} cores", "give more than 0, or None for no quota")
        self._ledger.hierarchy.quota(self._ledger.group(self._host(node).name), cores)

    def set(
        self,
        target: str,
        *,
        rate: float | None = None,
        delay: float | None = None,
        loss: float | None = None,
        jitter: float | None = None,
    ) -> None:
        """Change links while they run; see `LinkControl.set`."""
        self.control.set(target, rate=rate, delay=delay, loss=loss, jitter=jitter)

    def cut(self, target: str) -> None:
        """Let links carry nothing; see `LinkControl.cut`."""
        self.control.cut(target)

    def heal(self, target: str) -> None:
        """Let links carry again; see `LinkControl.heal`."""
        self.control.heal(target)

    def counters(self) -> dict[str, LineCounters]:
        """What each link carried and dropped; see `LinkControl.counters`."""
        return self.control.counters()

    def replay(self, target: str, trace: Sequence[TraceRow] | str | Path) -> None:
        """Let links change as a trace says; see `LinkControl.replay`."""
        self.control.replay(target, trace)

    def interfaces(self) -> dict[str, InterfaceCounters]:
        """What the kernel counted at each node's interface."""
        return {name: namespaces.interface_counters(host.namespace.name) for name, host in self.hosts.items()}

    def config(self) -> dict[str, Any]:
        """What the rig was made from: nodes, sites, links with their shapes, and the path of each pair of nodes."""
        config: dict[str, Any] = json.loads((self.state / CONFIG).read_text())
        return config

    @property
    def forwards(self) -> Mapping[int, tuple[str, int]]:
        """The ports of 127.0.0.1 that lead to a port of a node."""
        return MappingProxyType(self._ledger.forwards or {})

    def forward(self, ports: Mapping[int, tuple[str, int]]) -> None:
        """Let each port of 127.0.0.1 of this machine lead to a port of a node, as the node's own loopback has it.

        `forward({8265: ("cloud-1", 8265)})`. A process of its own does it until the rig goes down.

        Raises:
            RigError: a port is taken, or there is no such node.
        """
        targets = {port: (self._host(node), there) for port, (node, there) in ports.items()}
        with listeners(ports) as sockets:
            plan = [
                (sock.fileno(), str(host.namespace), there)
                for sock, (host, there) in zip(sockets, targets.values(), strict=True)
            ]
            _serve(self._ledger, self.state, ["forward", json.dumps(plan)], [sock.fileno() for sock in sockets])
        self._record(forwards={**(self._ledger.forwards or {}), **ports})

    def _host(self, node: str) -> Host:
        if node not in self.hosts:
            raise RigError(f"the rig has no node {node!r}", f"its nodes are {', '.join(self.hosts)}")
        return self.hosts[node]

    def _record(self, **change: Any) -> None:
        self._ledger = replace(self._ledger, **change)
        self._ledger.write(self.state)


def _make(spec: ClusterSpec, state: Path, progress: Progress, asked: Emulation | None) -> Ledger:
    """Make everything, each thing after it is written down."""
    topology = Topology.of(spec)
    hierarchy = detect()
    if hierarchy is None:
        raise RigError("no cgroup hierarchy is writable", "run it as root")
    ledger = Ledger(
        fabric=spec.name,
        identity=identity(state),
        emulation=asked or "tun",
        cgroup=(str(hierarchy.mount), hierarchy.version, hierarchy.quotas),
        addresses=addresses(topology),
    )
    ledger.write(state)
    config = plan(spec, {name: str(FOLDER / ledger.namespace(name)) for name in ledger.addresses})
    emulation = _choose(config, ledger, asked)
    ledger = replace(ledger, emulation=emulation)
    ledger.write(state)
    config |= {
        "emulation": emulation,
        "namespaces": {name: ledger.namespace(name) for name in _vertices(topology, emulation)},
    }
    write_durably(state / CONFIG, json.dumps(config))
    for done, node in enumerate(topology.nodes):
        progress(f"host {node.name}", done / (len(topology.nodes) + 1))
        hierarchy.make(ledger.group(node.name))
        hierarchy.quota(ledger.group(node.name), node.cpu_quota)
        namespaces.create(ledger.namespace(node.name))
    progress("links", len(topology.nodes) / (len(topology.nodes) + 1))
    _wire(config, emulation)
    hierarchy.make(ledger.servants)
    (state / LOG).write_bytes(b"")
    _serve(ledger, state, ["emulator", str(state)])
    ledger = replace(ledger, emulator=_wait_for_emulator(ledger, state))
    ledger.write(state)
    progress("up", 1.0)
    return ledger


def _choose(config: Mapping[str, Any], ledger: Ledger, asked: Emulation | None) -> Emulation:
    """What shapes the links: what was asked for if it can be, else netem if it can be."""
    if asked == "tun":
        return asked
    if netem.next_hops(config) is None:
        if asked:
            raise RigError("netem cannot follow paths that part by their source", "leave out emulation='netem'")
        return "tun"
    shaped = any(link["shape"] for link in config["links"])
    if asked and not shaped:
        return asked  # veth pairs alone, which every kernel has
    probe = ledger.namespace(".probe")  # no node is called so
    namespaces.create(probe)
    try:
        if netem.available(probe):
            return "netem"
    finally:
        namespaces.remove(probe)
    if asked:
        raise RigError("this kernel has no netem", "leave out emulation='netem', or load it with: modprobe sch_netem")
    return "tun"


def _vertices(topology: Topology, emulation: Emulation) -> list[str]:
    """What has a namespace: nodes, and where the kernel emulates the sites between them too."""
    nodes = [node.name for node in topology.nodes]
    return nodes if emulation == "tun" else [*nodes, *topology.sites]


def _wire(config: Mapping[str, Any], emulation: Emulation) -> None:
    """Give the nodes their devices and routes."""
    sizes = mtus(config)
    if emulation == "tun":
        for node in config["nodes"]:
            namespace = config["namespaces"][node["name"]]
            namespaces.make_tun(namespace, node["address"], LARGEST_MTU)
            namespaces.route(namespace, sizes[node["name"]])
        return
    for site in config["sites"]:
        namespaces.create(config["namespaces"][site])
    netem.wire(config, sizes, LARGEST_MTU)


def _serve(ledger: Ledger, state: Path, module: list[str], sockets: Sequence[int] = ()) -> None:
    """Start a process of the rig that stays when this one ends."""
    command = [sys.executable, "-I", str(_BARE), *module]
    with (state / LOG).open("ab") as log:
        subprocess.run(
            entering("detach", ledger.hierarchy.path(ledger.servants), None, command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            pass_fds=sockets,
            check=True,
        )


def _wait_for_emulator(ledger: Ledger, state: Path) -> Started:
    """The emulator, once it answers."""
    control = LinkControl(state)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return Started.of(control.request("ping")["pid"])
        except RigError:
            if not ledger.hierarchy.processes(ledger.servants) or time.monotonic() > until:
                said = (state / LOG).read_text(errors="replace").strip().splitlines()
                raise RigError(
                    f"the emulator does not start ({said[-1] if said else 'it says nothing'})", "see the reason"
                ) from None
            time.sleep(0.01)
