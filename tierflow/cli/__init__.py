"""The command line: each command parses, calls one function of a lower room, and prints."""

from __future__ import annotations

import typer

from tierflow.cli import audit, certs, check, explain, fabric, gateway, job, rig, run, token
from tierflow.cli.screen import reports_errors

__all__ = ["app", "main"]

app = typer.Typer(
    name="tierflow",
    help="One Ray cluster over device, edge and cloud.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("check")(check.check)
app.command("up")(fabric.up)
app.command("status")(fabric.status)
app.command("restart")(fabric.restart)
app.command("down")(fabric.down)
app.command("join")(fabric.join)
app.command("explain")(explain.explain)
app.command("audit")(audit.audit)
app.command("submit", context_settings={"allow_interspersed_args": False})(job.submit)
app.command("run", context_settings={"allow_interspersed_args": True})(run.run)
app.add_typer(rig.app, name="rig")
app.add_typer(token.app, name="token")
app.add_typer(certs.app, name="certs")
app.add_typer(gateway.app, name="gateway")


def main() -> None:
    """Run the command line; an error of ours is one sentence and exit code 1, Ctrl-C is 130."""
    with reports_errors():
        app()
