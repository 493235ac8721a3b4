"""``tierflow certs``: the certificates of a fabric, on the head."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tierflow.cli.fabric import FabricName
from tierflow.cli.screen import out, show_left, table
from tierflow.runtime.keys import Keys
from tierflow.runtime.record import find
from tierflow.runtime.rotation import by_hand, finish, rotate

__all__ = ["app"]

app = typer.Typer(help="The fabric's certificates.", no_args_is_help=True)


@app.command("make")
def make_command(
    name: Annotated[str, typer.Argument(help="Whose it is: a machine that runs drivers and is no node.")],
    address: Annotated[str, typer.Argument(help="Its address.")],
    fabric: FabricName = None,
) -> None:
    """Make a key and a certificate by hand. Nodes need none: `tierflow up` and `tierflow join` make theirs."""
    folder = by_hand(find(fabric), name, address)
    out.print(f"{folder} has them; copy it over a channel that you trust", soft_wrap=True)


@app.command("rotate")
def rotate_command(
    fabric: FabricName = None,
    end: Annotated[bool, typer.Option("--finish", help="Trust the last authority no more.")] = False,
) -> None:
    """Make a new authority and new certificates. Nodes take them as they restart, one by one; then --finish."""
    record = find(fabric)
    if end:
        finish(record)
        out.print("the last authority is trusted no more by whatever starts from now on")
        return
    rotate(record)
    out.print(
        "there is a new authority; both are trusted. Restart the nodes one by one (their old certificates stay good "
        "meanwhile), then run `tierflow certs rotate --finish`",
        soft_wrap=True,
    )


@app.command()
def show(
    fabric: FabricName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; times are seconds since 1970.")] = False,
) -> None:
    """Show the certificates on this machine: whose, for which addresses, how long they hold."""
    keys = Keys(Path(find(fabric).state))
    found = keys.shown()
    if as_json:
        out.print_json(json.dumps({name: asdict(facts) for name, facts in found.items()}))
        return
    shown = table("certificate", "for", "signed by", "holds for", "fingerprint")
    for name, facts in found.items():
        left = show_left(facts.until - time.time())
        shown.add_row(name, ", ".join(facts.names) or facts.subject, facts.issuer, left, facts.fingerprint[:16])
    out.print(shown)
    if keys.rotated is not None:
        out.print("a rotation is under way: restart every node, then `tierflow certs rotate --finish`")
