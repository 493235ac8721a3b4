"""``tierflow audit``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from tierflow.cli.fabric import FabricName
from tierflow.cli.screen import out, say, table
from tierflow.runtime.auditing import NodeAudit, node_audits
from tierflow.runtime.record import find

__all__ = ["audit"]


def audit(
    node: Annotated[str | None, typer.Option(help="Only the log of this node.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many entries of each log, the newest.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    fabric: FabricName = None,
) -> None:
    """Show what was released from its device or site and what was refused, and check that no log was altered.

    All of a log is checked, however few of its entries are shown. A refusal that came again within a minute is one
    entry, and a minute later one more with how often it came. Exits with 1 where a log was altered or cut off, or
    cannot be read.
    """
    found = node_audits(find(fabric), node)
    shown = [log.entries if last is None else log.entries[-last:] for log in found]
    if as_json:
        rows = [
            {"node": log.node, "problem": log.problem, "entries": entries}
            for log, entries in zip(found, shown, strict=True)
        ]
        out.print_json(json.dumps(rows))
    else:
        _show(found, shown)
    if any(log.problem for log in found):
        sys.exit(1)


def _show(found: list[NodeAudit], entries: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    shown = table("node", "when", "what", "by", "may not leave", "value", "made of")
    for log, rows in zip(found, entries, strict=True):
        for entry in rows:
            when = datetime.fromtimestamp(float(entry.get("at", 0)), UTC)
            words = (entry.get("by", ""), entry.get("stay", ""), _value(entry), _lineage(entry))
            shown.add_row(log.node, f"{when:%m-%d %H:%M:%S}Z", _what(entry), *map(str, words))
    out.print(shown)
    for log in found:
        if log.problem:
            say.print(f"the log of {log.node}: {log.problem}", markup=False, soft_wrap=True)
    whole = sum(log.problem is None for log in found)
    out.print(f"{sum(len(log.entries) for log in found)} entries; {whole} of {len(found)} logs are whole")


def _what(entry: Mapping[str, Any]) -> str:
    word, where = entry.get("word"), entry.get("node")
    released = f"release: {word}" if word else str(entry.get("what", ""))
    words = f"refusal on {where}" if entry.get("what") == "refusal elsewhere" else released
    return f"{words}, {entry['times']} more" if entry.get("times") else words


def _value(entry: Mapping[str, Any]) -> str:
    value = entry.get("value") or {}
    words = [str(value.get("kind", "")), f"of {value['function']}" if value.get("function") else ""]
    return " ".join([*filter(None, words), *([f"into {entry['to']}"] if entry.get("to") else [])])


def _lineage(entry: Mapping[str, Any]) -> str:
    sources = entry.get("lineage") or (entry.get("value") or {}).get("lineage") or ()
    names = dict.fromkeys(f"{source['function']} on {source['node']}" for source in sources)
    return ", ".join(names) or str((entry.get("value") or {}).get("node", ""))
