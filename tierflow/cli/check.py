"""``tierflow check FILE``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from tierflow.cli.screen import out
from tierflow.topology import describe, load

__all__ = ["check"]


def check(
    file: Annotated[Path, typer.Argument(help="A cluster file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in SI units.")] = False,
) -> None:
    """Say what a cluster file means, or the one thing that is wrong with it."""
    description = describe(load(file), os.cpu_count())
    if as_json:
        out.print_json(json.dumps(description.to_dict()))
        return
    from tierflow.topology.render import render

    out.print(render(description))
