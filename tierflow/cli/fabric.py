"""``tierflow up``, ``status``, ``down`` and ``join``."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from tierflow.cli.screen import out, say, table
from tierflow.errors import FabricError
from tierflow.runtime import launch, restarting
from tierflow.runtime.boxes import unsent
from tierflow.runtime.grants import Grants
from tierflow.runtime.join import JoiningMachine, join_command, systemd_unit
from tierflow.runtime.measured import Measurements
from tierflow.runtime.node import JOB_PORT
from tierflow.runtime.record import FabricRecord, find, records
from tierflow.runtime.status import NodeStatus, node_statuses
from tierflow.topology import ClusterSpec, Link, Topology, load
from tierflow.units import show_bytes, show_duration, show_rate, show_size, size

__all__ = ["down", "join", "restart", "start", "status", "up", "waiting_records"]

START_WITHIN = 180.0

FabricName = Annotated[str | None, typer.Option("--fabric", help="Which fabric, where several run here.")]


def up(
    file: Annotated[Path, typer.Argument(help="A cluster file, e.g. clusters/demo.yaml.")],
    port: Annotated[int, typer.Option(help="Where the dashboard answers on 127.0.0.1.")] = JOB_PORT,
    timeout: Annotated[float, typer.Option(help="How long all nodes together may take, in seconds.")] = START_WITHIN,
) -> None:
    """Start a fabric: the head on the cloud node, and a Ray node on every other."""
    spec = load(file)
    record = start(spec, port=port, timeout=timeout)
    out.print(f"the fabric {record.name} is up: {len(record.supervisors)} nodes, dashboard at {record.dashboard}")
    out.print(f"the dashboard asks for the token in {record.token}", soft_wrap=True)
    out.print("traffic between nodes is encrypted" if spec.encrypted else "traffic between nodes is not encrypted")
    for node in spec.nodes:
        if node.name not in record.supervisors:
            token = f"{record.state}/{node.name}.token"
            out.print(f"on {node.name}, with a copy of {token}: {join_command(record, node)}", soft_wrap=True)


def start(spec: ClusterSpec, *, port: int = JOB_PORT, timeout: float = START_WITHIN) -> FabricRecord:
    """Start the fabric of ``spec``, showing each step."""
    with say.status("starting") as spinner:

        def progress(name: str, what: str) -> None:
            spinner.update(f"{name}: {what}")
            say.print(f"  {name}: {what}")

        return launch.up(spec, port=port, timeout=timeout, progress=progress)


def status(
    fabric: FabricName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each node of the running fabric, and the bytes that crossed each link."""
    record = find(fabric)
    nodes = node_statuses(record)
    refused = Grants(Path(record.state)).refused()
    links = launch.link_traffic(record)
    measured = Measurements.read(Path(record.state)).links
    if as_json:
        rows = [node.as_dict() for node in nodes]
        whole = {
            "fabric": record.name,
            "dashboard": record.dashboard,
            "head": record.head,
            "nodes": rows,
            "refused": [asdict(row) for row in refused],
            "links": links,
            "measured": measured,
        }
        out.print_json(json.dumps(whole))
        return
    out.print(f"fabric {record.name}, head {record.head}, dashboard {record.dashboard}")
    out.print(_node_table(nodes))
    for row in refused:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.at))
        claim = f"{row.name} ({row.tier or 'no tier'}, {row.site or 'no site'}) at {row.address}"
        out.print(f"[red]refused[/] {at}: {escape(claim)}: {escape(row.why)}", soft_wrap=True)
    out.print(_link_table(Topology.of(record.spec()).links, measured, links))


def down(
    fabric: FabricName = None,
    every: Annotated[bool, typer.Option("--all", help="Every fabric that was started here.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Also with records that were not sent yet.")] = False,
) -> None:
    """Take the fabric down; nothing of it is left, also where its launcher was killed.

    Its inboxes go with it. While records wait in an outbox it is not taken down, unless they are to be discarded.
    """
    for record in records() if every else [find(fabric)]:
        waiting = waiting_records(record)
        if waiting and not discard:
            raise FabricError(
                f"the fabric {record.name} is not taken down: its outboxes hold what was not sent yet ({waiting})",
                "wait until it is sent (open its inbox, heal the link), or say --discard",
            )
        with say.status(f"taking {record.name} down"):
            launch.down(record)
        out.print(f"the fabric {record.name} is down")


def waiting_records(record: FabricRecord) -> str:
    """Which outboxes on this machine hold records that were not sent, and how many; empty if none does."""
    return ", ".join(f"{count} of {name} on {node}" for node, name, count in unsent(Path(record.state)))


def restart(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NODE]...", help="Nodes, in this order.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every node, the head last.")] = False,
    drain: Annotated[float, typer.Option(help="Wait so long (s) for tasks that run on a node.")] = 10.0,
    timeout: Annotated[float, typer.Option(help="How long a node may be away, in seconds.")] = START_WITHIN,
    fabric: FabricName = None,
) -> None:
    """Restart nodes one by one while the others go on, each when the one before it is back with its actors.

    A node of this machine that lost its supervisor (a host of the rig that lost its power) is started.
    """
    if bool(names) == every:
        raise FabricError("restart takes nodes or --all", "name the nodes, or say --all")
    record = find(fabric)
    with say.status("restarting") as spinner:
        for step in restarting.restart(record, names or restarting.in_order(record), drain=drain, within=timeout):
            spinner.update(f"{step.node}: {step.what}")
            out.print(f"{step.node}: {_SAID[step.what].format(step.number, step.after)}", highlight=False)


_SAID = {
    "starting": "its supervisor was gone; starting it",
    "draining": "given nothing new",
    "away": "ended, with {0} tasks still running",
    "lost": "{0} of its actors do not come back: their max_restarts is 0",
    "joined": "a member again after {1:.1f} s",
    "back": "back after {1:.1f} s, with {0} actors",
    "missing": "not back after {1:.1f} s",
}


def join(
    token_file: Annotated[Path, typer.Option(help="A join token: `tierflow token make` on the head makes one.")],
    name: Annotated[str, typer.Option(help="The name of this machine, where its token does not say it.")] = "",
    address: Annotated[str, typer.Option(help="The address others reach this machine at.")] = "",
    cpus: Annotated[float | None, typer.Option(help="CPUs to offer; all there are by default.")] = None,
    gpus: Annotated[float, typer.Option(help="GPUs to offer.")] = 0.0,
    memory: Annotated[str | None, typer.Option(help="For workers, e.g. '4 GiB'; Ray decides by default.")] = None,
    temp_dir: Annotated[str, typer.Option(help="Where Ray keeps sockets and logs.")] = "",
    print_unit: Annotated[bool, typer.Option("--print-unit", help="Print a systemd unit and do nothing.")] = False,
) -> None:
    """Make this machine a node of a fabric, in the foreground; join again whenever its Ray node ends."""
    cores = float(os.cpu_count() or 1) if cpus is None else cpus
    room = None if memory is None else size(memory)
    token = token_file.expanduser().absolute()
    machine = JoiningMachine(token, name, address, cores, gpus, room, temp_dir)
    if print_unit:
        out.print(systemd_unit(machine), markup=False, soft_wrap=True, end="")
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    supervisor = machine.watch()
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGINT, supervisor.stop)
    supervisor.run(first_must_succeed=True)


def _node_table(nodes: tuple[NodeStatus, ...]) -> Table:
    shown = table("node", "tier", "site", "address", "state", "CPUs", "quota", "speed", "busy", "memory", "battery")
    for node in nodes:
        colour = "green" if node.state == "up" else "red"
        quota = f"{node.cpu_quota:g} cores" if node.cpu_quota else "-"
        speed = _measured(node.measured.get("speed"), lambda value: f"{value:.2f}")
        busy = f"{node.measured['busy']['value']:.0%}" if "busy" in node.measured else "-"
        memory = show_size(node.hardware["memory"]) if node.hardware else "-"
        battery = f"{node.hardware['battery']['share']:.0%}" if node.hardware.get("battery") else "-"
        state = f"[{colour}]{node.state}[/]"
        place = (node.name, node.tier, node.site, node.address, state)
        shown.add_row(*place, f"{node.cpus:g}", quota, speed, busy, memory, battery)
    return shown


def _link_table(
    declared: tuple[Link, ...], measured: Mapping[str, Mapping[str, Any]], carried: Mapping[str, Mapping[str, int]]
) -> Table:
    """What each link was declared with and measured at, and what it has carried where somebody counts."""
    shown = table("link", "rate", "measured", "delay", "measured", "bytes", "dropped packets")
    for link in declared:
        known, counters = measured.get(link.name, {}), carried.get(link.name)
        if not known and counters is None:
            continue
        rate, delay = _measured(known.get("rate"), show_rate), _measured(known.get("delay"), show_duration)
        sent = (show_bytes(counters["bytes"]), str(counters["dropped"])) if counters else ("-", "-")
        shown.add_row(link.name, show_rate(link.rate), rate, show_duration(link.delay), delay, *sent)
    return shown


def _measured(known: Mapping[str, Any] | None, show: Callable[[float], str]) -> str:
    """A measured value to three digits, with its deviation as a share of it."""
    if known is None:
        return "-"
    value, deviation = known["value"], known["deviation"]
    return f"{show(float(f'{value:.3g}'))} ±{deviation / value:.0%}"
