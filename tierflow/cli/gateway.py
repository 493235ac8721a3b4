"""``tierflow gateway``: doors for devices that cannot run Ray, and their tokens; on the machine of the node."""

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
from tierflow.errors import FabricError
from tierflow.exchange.gateway.quota import Limits
from tierflow.runtime import gateway
from tierflow.runtime.cache import write_whole
from tierflow.runtime.clients import Clients
from tierflow.runtime.node import NodeStart
from tierflow.runtime.record import find, node_folder
from tierflow.topology import GatewaySpec

__all__ = ["app"]

app = typer.Typer(help="Doors for devices that cannot run Ray.", no_args_is_help=True)
token = typer.Typer(help="Tokens of the clients of a gateway.", no_args_is_help=True)
app.add_typer(token, name="token")

Node = Annotated[str, typer.Option("--node", help="The node whose gateway it is.")]
Folder = Annotated[Path | None, typer.Option(help="The node's folder, on a machine that joined.")]


def _folder(fabric: str | None, node: str, folder: Path | None) -> Path:
    if folder is not None:
        return folder
    state = Path(find(fabric).state)
    if not (state / f"{node}.json").exists():
        raise FabricError(f"no node {node!r} is on this machine", "give --node, or --folder where it joined")
    return node_folder(state, node)


@app.command("open")
def open_command(
    node: Node = "",
    outbox: Annotated[list[str] | None, typer.Option(help="An outbox that clients may put into.")] = None,
    version: Annotated[list[str] | None, typer.Option(help="A published name that clients may receive.")] = None,
    listen: Annotated[str, typer.Option(help="An address of the node, or 'node': its own.")] = "127.0.0.1",
    limit: Annotated[str, typer.Option(help="Bytes that may wait in an outbox; what comes then is refused.")] = "64 MB",
    http: Annotated[int, typer.Option(help="The port of HTTP.")] = 8470,
    flight: Annotated[int, typer.Option(help="The port of Arrow Flight.")] = 8471,
    folder: Folder = None,
    fabric: FabricName = None,
) -> None:
    """Open the gateway of a node that runs; it comes back after a crash, until it is closed."""
    where = _folder(fabric, node, folder)
    if not outbox and not version:
        raise FabricError("this gateway would neither take nor give anything", "say --outbox or --version")
    try:
        spec = GatewaySpec(
            outboxes=tuple(outbox or ()),
            versions=tuple(version or ()),
            listen=listen,
            limit=units.size(limit),
            http=http,
            flight=flight,
        )
    except ValueError as error:
        said = str(error).splitlines()
        raise FabricError(f"this gateway cannot be: {said[1]}: {said[2].strip()}", "see `--help`") from None
    address = listen
    if listen == "node":
        if folder is not None:
            raise FabricError("the node's address is not known here", "give the address with --listen")
        address = NodeStart.read(where.parents[1] / f"{node}.json").address
    gateway.open_at(where, spec, address)
    out.print(f"the gateway opens at {address}, ports {http} (HTTP) and {flight} (Flight)", soft_wrap=True)


@app.command("close")
def close_command(node: Node = "", folder: Folder = None, fabric: FabricName = None) -> None:
    """Close the gateway of a node. Its tokens stay good for the next time."""
    gateway.close(_folder(fabric, node, folder))
    out.print("the gateway closes")


@token.command()
def make(
    name: Annotated[str, typer.Argument(help="The client's name.")],
    node: Node = "",
    expires: Annotated[str, typer.Option(help="How long it is good, e.g. '30d'.")] = "30 d",
    size: Annotated[str, typer.Option(help="Bytes of one record at the most.")] = "8 MB",
    day: Annotated[str, typer.Option(help="Bytes a day at the most.")] = "1 GB",
    rate: Annotated[float, typer.Option(help="Records a second at the most.")] = 20.0,
    uploads: Annotated[int, typer.Option(help="Uploads under way at once.")] = 4,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
    folder: Folder = None,
    fabric: FabricName = None,
) -> None:
    """Make a client's token and print it: a secret. Only its digest is kept."""
    limits = Limits(min(units.size(size), gateway.MOST), units.size(day), rate, uploads)
    text = Clients(_folder(fabric, node, folder)).make(name, units.duration(expires), limits)
    if file is None:
        sys.stdout.write(f"{text}\n")
    else:
        write_whole(file, text)


@token.command("list")
def list_command(
    node: Node = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; times are seconds since 1970.")] = False,
    folder: Folder = None,
    fabric: FabricName = None,
) -> None:
    """List the tokens that were made; the tokens themselves are not kept."""
    made = Clients(_folder(fabric, node, folder)).made().values()
    if as_json:
        rows = [{key: value for key, value in asdict(grant).items() if key != "digest"} for grant in made]
        out.print_json(json.dumps(rows))
        return
    shown = table("token", "client", "state", "record", "a day", "records/s")
    for grant in made:
        left = grant.expires - time.time()
        state = "revoked" if grant.revoked else f"good for {show_left(left)}" if left > 0 else "expired"
        sizes = units.show_size(grant.size), units.show_size(grant.day)
        shown.add_row(grant.id, grant.name, state, *sizes, f"{grant.rate:g}")
    out.print(shown)


@token.command()
def revoke(
    id: Annotated[str, typer.Argument(help="Its id: `tierflow gateway token list` shows it.")],
    node: Node = "",
    folder: Folder = None,
    fabric: FabricName = None,
) -> None:
    """Let nobody in by a token any more, from the next request on."""
    grant = Clients(_folder(fabric, node, folder)).revoke(id)
    out.print(f"the token {id} of {grant.name} is revoked")
