"""``tierflow rig``: hosts and shaped links on this machine, with or without a fabric on them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tierflow import units
from tierflow.cli.screen import out, say, table
from tierflow.errors import RigError
from tierflow.rig import LinkControl, Rig, sweep
from tierflow.rig.calibrate import calibrate
from tierflow.runtime.record import rig_folders, state_folder
from tierflow.topology import load
from tierflow.units import show_bytes, show_duration, show_rate

__all__ = ["app"]

app = typer.Typer(help="Hosts and shaped links on this machine.", no_args_is_help=True)

Target = Annotated[str, typer.Argument(help="A link (a->b), both its directions (a<->b), a node or a site.")]
RigName = Annotated[str | None, typer.Option("--fabric", help="Whose rig, where several run here.")]


@app.command()
def up(file: Annotated[Path, typer.Argument(help="A cluster file with 'hosts: rig'.")]) -> None:
    """Make the hosts and links of a cluster file, with no Ray on them."""
    spec = load(file)
    with say.status("making hosts") as spinner:
        rig = Rig.up(spec, state_folder(spec.name) / "rig", lambda what, share: spinner.update(f"{what} ({share:.0%})"))
    shown = table("host", "address", "namespace")
    for host in rig.hosts.values():
        shown.add_row(host.name, host.address, host.namespace.name)
    out.print(shown)


@app.command()
def down(fabric: RigName = None) -> None:
    """Remove the hosts and links, also what a killed launcher left."""
    folder = _folder(fabric)
    sweep(folder)
    out.print(f"the rig in {folder} is down", soft_wrap=True)


@app.command("calibrate")
def calibrate_command(
    file: Annotated[Path, typer.Argument(help="A cluster file with 'hosts: rig'.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in SI units.")] = False,
) -> None:
    """Make the rig of a file, measure each link, print asked against measured, and take it down."""
    spec = load(file)
    with say.status("calibrating") as spinner, Rig.up(spec, state_folder(f"{spec.name}-calibration") / "rig") as rig:
        rows = calibrate(rig, lambda what, share: spinner.update(f"{what} ({share:.0%})"))
    if as_json:
        out.print_json(json.dumps([asdict(row) for row in rows]))
        return
    shown = table("link", "measured between", "rate", "measured", "RTT", "measured")
    for row in rows:
        rates = (show_rate(row.asked_rate), show_rate(row.measured_rate))
        times = (show_duration(row.asked_rtt), show_duration(row.measured_rtt))
        shown.add_row(row.link, f"{row.source} - {row.target}", *rates, *times)
    out.print(shown)


@app.command("set")
def set_command(
    target: Target,
    rate: Annotated[str | None, typer.Option(help="e.g. '2 Mbit/s'")] = None,
    delay: Annotated[str | None, typer.Option(help="One way, e.g. '80 ms'")] = None,
    loss: Annotated[str | None, typer.Option(help="e.g. '1 %'")] = None,
    jitter: Annotated[str | None, typer.Option(help="e.g. '5 ms'")] = None,
    fabric: RigName = None,
) -> None:
    """Change links while they run."""
    control(fabric).set(
        target,
        rate=None if rate is None else units.rate(rate),
        delay=None if delay is None else units.duration(delay),
        loss=None if loss is None else units.share(loss),
        jitter=None if jitter is None else units.duration(jitter),
    )


@app.command()
def cut(target: Target, fabric: RigName = None) -> None:
    """Let links carry nothing."""
    control(fabric).cut(target)


@app.command()
def heal(target: Target, fabric: RigName = None) -> None:
    """Let links carry again."""
    control(fabric).heal(target)


@app.command()
def replay(
    target: Target,
    trace: Annotated[Path, typer.Argument(help="CSV with time and any of rate, delay, loss, jitter, with units.")],
    fabric: RigName = None,
) -> None:
    """Change links as a trace says, beginning now; returns at once."""
    control(fabric).replay(target, trace)


@app.command()
def counters(
    fabric: RigName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what each link carried and dropped since the rig came up."""
    found = control(fabric).counters()
    if as_json:
        out.print_json(json.dumps({name: asdict(row) for name, row in found.items()}))
        return
    shown = table("link", "bytes", "packets", "dropped packets")
    for name, row in found.items():
        shown.add_row(name, show_bytes(row.bytes), str(row.packets), str(row.dropped))
    out.print(shown)


def control(fabric: str | None) -> LinkControl:
    """The links of the rig that was named, or of the only one."""
    return LinkControl(_folder(fabric))


def _folder(fabric: str | None) -> Path:
    folders = rig_folders()
    if fabric is not None:
        folders = [folder for folder in folders if folder.parent.name == fabric]
    if len(folders) == 1:
        return folders[0]
    if folders:
        names = ", ".join(folder.parent.name for folder in folders)
        raise RigError(f"several rigs run here: {names}", "say which one with --fabric NAME")
    raise RigError("no rig runs on this machine", "bring one up with `tierflow up` or `tierflow rig up`")
