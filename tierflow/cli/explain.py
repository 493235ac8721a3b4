"""``tierflow explain``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tierflow.cli.fabric import FabricName
from tierflow.cli.screen import out, table
from tierflow.errors import FabricError
from tierflow.planning.explanation import Explanation
from tierflow.planning.prose import show_seconds
from tierflow.runtime.journal import JOURNAL, Journal
from tierflow.runtime.record import find

__all__ = ["explain"]


def explain(
    last: Annotated[int, typer.Option(help="How many calls, the latest; one is shown in full.", min=1)] = 1,
    call: Annotated[str, typer.Option(help="Only calls whose id begins like this.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    fabric: FabricName = None,
) -> None:
    """Say why calls were placed where they were, what else there was, and what was predicted and observed."""
    record = find(fabric)
    path = Path(record.state) / JOURNAL
    try:
        calls = Journal(path).last(last, call)
    except OSError as error:
        mend = "run this as the user who started the fabric"
        raise FabricError(f"the calls in {path} cannot be read ({error.strerror})", mend) from error
    if not calls and call:
        mend = "`tierflow explain --last 20` lists those that are"
        raise FabricError(f"no call whose id begins with {call!r} is recorded", mend)
    if not calls:
        mend = "make one with .remote(): it is recorded about a second after it ended"
        raise FabricError(f"no call is recorded yet in the fabric {record.name}", mend)
    if as_json:
        whole = {"fabric": record.name, "calls": [explanation.as_dict() for explanation in calls]}
        out.print_json(json.dumps(whole))
    elif len(calls) == 1:
        out.print(str(calls[0]), markup=False, soft_wrap=True)
    else:
        out.print(_summary(calls))
        if skipped := sum(explanation.skipped for explanation in calls[1:]):
            out.print(f"{skipped} calls between these were not recorded: a process records some 50 a second")


def _summary(calls: tuple[Explanation, ...]) -> Table:
    shown = table("call", "when", "function", "from", "node", "predicted", "observed", "ratio")
    for call in calls:
        seen = call.observed
        node = call.node if seen is None or not call.note else f"{seen.node} (not {call.node})"
        shown.add_row(
            call.call[:16],
            f"{datetime.fromtimestamp(call.when, UTC):%H:%M:%S}Z",
            call.function,
            call.caller,
            node or (seen.node if seen else ""),
            show_seconds(call.predicted),
            "" if seen is None else "error" if seen.error is not None else show_seconds(seen.total),
            "" if call.ratio is None else f"{call.ratio:.3g}",
        )
    return shown
