"""``tierflow token``: join tokens, on the head."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tierflow import units
from tierflow.cli.fabric import FabricName
from tierflow.cli.screen import out, show_left, table
from tierflow.runtime.cache import write_whole
from tierflow.runtime.grants import Grants
from tierflow.runtime.join import door_of
from tierflow.runtime.record import find

__all__ = ["app"]

app = typer.Typer(help="Join tokens: who may join, as what, until when.", no_args_is_help=True)


@app.command()
def make(
    tier: Annotated[str, typer.Option(help="The tier that the node will have.")],
    site: Annotated[str, typer.Option(help="The site that the node will have.")],
    name: Annotated[str, typer.Option(help="The name it must have; any free one by default.")] = "",
    expires: Annotated[str, typer.Option(help="How long one can join with it, e.g. '7d' or '2 h'.")] = "7 d",
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
    fabric: FabricName = None,
) -> None:
    """Make a join token and print it: a secret until it expires. Each machine that shows it gets that tier and site."""
    record = find(fabric)
    grants = Grants(Path(record.state))
    text = grants.make(record.spec(), door_of(record), (tier, site), name, units.duration(expires))
    if file is None:
        sys.stdout.write(f"{text}\n")
    else:
        write_whole(file, text)


@app.command("list")
def list_command(
    fabric: FabricName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; times are seconds since 1970.")] = False,
) -> None:
    """List the join tokens that were made, and the nodes that came by each; the tokens themselves are not kept."""
    grants = Grants(Path(find(fabric).state))
    made, admitted = grants.made(), grants.admitted()
    came = {id: sorted(name for name, was in admitted.items() if was.grant == id) for id in made}
    if as_json:
        out.print_json(json.dumps([asdict(grant) | {"nodes": came[id]} for id, grant in made.items()]))
        return
    shown = table("token", "tier", "site", "name", "state", "nodes that came by it")
    for id, grant in made.items():
        left = grant.expires - time.time()
        state = "revoked" if grant.revoked else f"good for {show_left(left)}" if left > 0 else "expired"
        shown.add_row(id, grant.tier, grant.site, grant.name or "any", state, ", ".join(came[id]) or "-")
    out.print(shown)


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(help="Its id: `tierflow token list` shows it.")],
    fabric: FabricName = None,
) -> None:
    """Let nobody in by a join token any more, and end the nodes that came by it."""
    nodes = Grants(Path(find(fabric).state)).revoke(token)
    out.print(f"the join token {token} is revoked; nodes that came by it: {', '.join(nodes) or 'none'}")
    if nodes:
        out.print("they end within seconds; what a lost machine still holds: docs/security.md", soft_wrap=True)
