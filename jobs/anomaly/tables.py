"""The run's ending on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from jobs.anomaly.outcome import METHODS, Outcome
from jobs.anomaly.watch import Watch
from jobs.anomaly.watched import HEAD, rows
from jobs.anomaly.words import count, duration, share, size

__all__ = ["NOT_MEASURED", "show"]

NOT_MEASURED = "not measured: links are not shaped"


def show(outcome: Outcome, console: Console) -> None:
    """Print every table: what was found, latencies, bytes, placements."""
    for draw in (_findings, _latencies, _bytes, _links, _placements, _trainings):
        console.print(draw(outcome))
    if outcome.watch is not None:
        console.print(_watched(outcome.watch))
    for one in outcome.series:
        for trouble in one.card.troubles:
            console.print(f"{one.card.name}: {trouble}", style="dim", highlight=False)
    if outcome.stopped:
        console.print("Stopped by you: the figures are of what was scored until then.", style="yellow")


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left")
    return table


def _findings(outcome: Outcome) -> Table:
    right = "right"
    table = _table(
        "Anomalies on the test rows", ("series", ""), ("method", ""), ("found", right), ("false alarms", right),
        ("per 10,000", right), ("precision", right), ("recall", right),
    )  # fmt: skip
    for one in outcome.series:
        for at, (method, title) in enumerate(METHODS.items()):
            tally = one.tally(method)
            hits = (
                f"{tally.found} of {tally.events}"
                if one.card.labelled
                else f"{tally.alarms} alarm{'' if tally.alarms == 1 else 's'}"
            )
            false = (
                (str(tally.false_alarms), f"{tally.false_alarm_rate:.1f}") if one.card.labelled else ("no labels", "–")
            )
            name = one.card.title if at == 0 else ""
            table.add_row(name, title, hits, *false, share(tally.precision), share(tally.recall))
        table.add_section()
    for method, title in METHODS.items():
        found, events, false_alarms = outcome.found(method)
        table.add_row(
            "all labelled" if method == "model" else "", title, f"{found} of {events}", str(false_alarms), "", "", ""
        )
    return table


def _latencies(outcome: Outcome) -> Table:
    table = _table("Latency", ("tier", ""), ("call", ""), ("calls", "right"), ("median", "right"), ("p99", "right"))
    for one in outcome.latencies:
        table.add_row(one.tier, one.what, count(one.calls), duration(one.median), duration(one.p99))
    return table


def _bytes(outcome: Outcome) -> Table:
    table = _table("Bytes", ("over", ""), ("what", ""), ("bytes", "right"))
    for payload in outcome.payloads:
        table.add_row(f"{payload.source} → {payload.target}", payload.what, size(payload.size))
    table.add_section()
    table.add_row("to the cloud", "the job's payloads, together", size(outcome.to_cloud))
    table.add_row("to the cloud", "every raw reading, had it been sent (computed)", size(outcome.raw_size))
    return table


def _links(outcome: Outcome) -> Table:
    table = _table(
        "Bytes on each link, measured (Ray's own traffic included)", ("link", ""), ("measured", "right"),
        ("raw readings, had they been sent (computed)", "right"),
    )  # fmt: skip
    for link in outcome.links or ():
        table.add_row(link.name, size(link.measured), size(link.raw))
    if outcome.links is None:
        table.add_row(NOT_MEASURED, "–", "–")
    return table


def _placements(outcome: Outcome) -> Table:
    table = _table("Where each actor ran", ("actor", ""), ("node", ""), ("tier", ""), ("site", ""), ("why", ""))
    for actor in outcome.actors:
        table.add_row(actor.role, actor.node, actor.tier, actor.site, actor.why)
    return table


def _watched(watch: Watch) -> Table:
    title = f"Through cuts: {count(sum(watch.counted.values()))} verdicts, {watch.lost} lost, {watch.twice} twice"
    table = _table(title, *((name, "") for name in HEAD))
    for row in rows(watch):
        table.add_row(*row)
    return table


def _trainings(outcome: Outcome) -> Table:
    right = "right"
    table = _table(
        "Where each training ran: no call names a node", ("model", ""), ("version", right), ("node", ""),
        ("predicted", right), ("observed", right), ("why", ""),
    )  # fmt: skip
    for one in outcome.trained:
        place = one.placed
        seconds = tuple("–" if value is None else duration(value) for value in (place.predicted, place.observed))
        table.add_row(one.name, str(one.version), place.node, *seconds, place.why)
    return table
