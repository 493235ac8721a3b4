"""``tierflow run``: a fabric for the time of one program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierflow.cli.fabric import start, waiting_records
from tierflow.cli.job import follow
from tierflow.cli.screen import say
from tierflow.rig import missing_privilege
from tierflow.runtime import jobs, launch
from tierflow.runtime.node import JOB_PORT
from tierflow.topology import load

__all__ = ["run"]


def run(
    file: Annotated[Path, typer.Argument(help="A cluster file.")],
    program: Annotated[Path, typer.Argument(help="A Python program.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Its arguments, after --.")] = None,
    unprivileged: Annotated[
        Path | None, typer.Option(help="The cluster file to take where hosts with shaped links cannot be made.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="What is sent along; the job's working directory.")] = Path(),
    port: Annotated[int, typer.Option(help="Where the dashboard answers on 127.0.0.1.")] = JOB_PORT,
) -> None:
    """Start a fabric, run a program on it, take it down; end with the program's exit code."""
    jobs.inside(program, folder.resolve())
    spec = load(file)
    missing = missing_privilege() if spec.hosts == "rig" else None
    if missing is not None and unprivileged is not None:
        say.print(f"{file} needs what is missing here: {missing}; using {unprivileged} instead")
        spec = load(unprivileged)
    record = start(spec, port=port)
    try:
        code = follow(record, program, arguments, folder)
    finally:
        if waiting := waiting_records(record):
            say.print(f"records that were not sent are discarded with the fabric: {waiting}")
        with say.status(f"taking {record.name} down"):
            launch.down(record)
    raise typer.Exit(code)
