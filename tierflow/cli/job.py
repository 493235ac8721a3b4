"""``tierflow submit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierflow.cli.fabric import FabricName
from tierflow.cli.screen import out
from tierflow.runtime import jobs
from tierflow.runtime.record import FabricRecord, find

__all__ = ["follow", "submit"]


def submit(
    program: Annotated[Path, typer.Argument(help="A Python program, e.g. jobs/sensor_anomaly.py.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Its arguments, after --.")] = None,
    folder: Annotated[Path, typer.Option(help="What is sent along; the job's working directory.")] = Path(),
    fabric: FabricName = None,
) -> None:
    """Run a program on the fabric, show its log as it comes, end with its exit code."""
    raise typer.Exit(follow(find(fabric), program, arguments, folder))


def follow(record: FabricRecord, program: Path, arguments: list[str] | None, folder: Path) -> int:
    """Run the program on the fabric, copying its log to standard output; its exit code."""
    given = list(arguments or [])
    if given[:1] == ["--"]:
        given = given[1:]

    def show(piece: str) -> None:
        out.file.write(piece)
        out.file.flush()

    return jobs.submit(record, program, given, folder=folder.resolve(), say=show)
