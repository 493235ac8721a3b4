"""A `Description` drawn for a terminal. Not imported by the package itself: only a command line needs rich."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tierflow.topology.describe import Description, Route
from tierflow.topology.dump import policy_as_written
from tierflow.topology.link import Link
from tierflow.topology.node import NodeSpec
from tierflow.units import (
    show_duration,
    show_energy,
    show_power,
    show_price_per_byte,
    show_price_per_second,
    show_rate,
    show_share,
    show_size,
)

__all__ = ["render"]

_HOSTS = {
    "rig": "hosts on this machine, with shaped links",
    "local": "Ray nodes on this machine's own network, nothing shaped",
    "machines": "real machines, which join by themselves",
}
_GIGABYTE = 1e9


def render(description: Description) -> RenderableType:
    """The summary, the tables of nodes, links and ways, and the warnings."""
    tables = (_nodes(description), _links(description), _ways(description))
    spaced = [part for table in tables for part in ("", table)]
    return Group(_summary(description), *spaced, *_warnings(description))


def _summary(description: Description) -> Text:
    counts = (f"{sum(node.tier == tier for node in description.nodes)} {tier}" for tier in description.tiers)
    text = Text.assemble((description.name, "bold"), f": {_HOSTS[description.hosts]}\n")
    text.append(f"tiers: {' < '.join(counts)}; head: {description.head}; sites: {', '.join(description.sites)}")
    text.append("; between nodes: TLS" if description.encrypted else "; between nodes: no TLS")
    if description.policy is not None:
        said = [f"{name} {_words(value)}" for name, value in policy_as_written(description.policy).items()]
        text.append(f"\npolicy: {', '.join(said) or 'says nothing'}")
    return text


def _words(value: object) -> str:
    """A value of the policy: tiers in order of preference, weights added up, anything else as it is written."""
    if isinstance(value, tuple):
        return " > ".join(value)
    return " + ".join(f"{weight} {name}" for name, weight in value.items()) if isinstance(value, dict) else str(value)


def _nodes(description: Description) -> Table:
    table = _table("Nodes")
    _name_column(table, "node")
    for name in ("tier", "site", "CPU"):
        table.add_column(name, no_wrap=True)
    shown = {name: cell for name, cell in _OPTIONAL.items() if any(cell(node) for node in description.nodes)}
    for name in shown:
        table.add_column(name)
    for node in description.nodes:
        name = f"{node.name} (head)" if node.name == description.head else node.name
        known = (name, node.tier, node.site, str(node.cpus))
        table.add_row(*map(escape, (*known, *(cell(node) for cell in shown.values()))))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))


def _name_column(table: Table, title: str) -> None:
    """A column of names: two of them must stay apart on a narrow screen too."""
    table.add_column(title, no_wrap=True, overflow="fold")


def _power(node: NodeSpec) -> str:
    return "" if node.power is None else f"{show_power(node.power.idle)} / {show_power(node.power.busy)}"


_OPTIONAL: Mapping[str, Callable[[NodeSpec], str]] = {
    "GPU": lambda node: str(node.gpus or ""),
    "memory": lambda node: "" if node.memory is None else show_size(node.memory),
    "speed": lambda node: "" if node.speed == 1 else f"{node.speed:g}",
    "quota": lambda node: "" if node.cpu_quota is None else f"{node.cpu_quota:g} cores",
    "idle / busy": _power,
    "battery": lambda node: "" if node.battery is None else show_energy(node.battery),
    "price": lambda node: show_price_per_second(node.price) if node.price else "",
    "address": lambda node: node.address or "",
}
"""Columns that are drawn where a node has something to say in them."""


def _links(description: Description) -> Table:
    table = _table("Links")
    _name_column(table, "link")
    for name in ("rate", "delay", "jitter", "loss", "price", "radio"):
        table.add_column(name)
    for link in description.links:
        table.add_row(*map(escape, _link(link)), style="" if link.shaped else "dim")
    if not all(link.shaped for link in description.links):
        table.caption = "dim: joins a node to its site where the file declares no link"
        table.caption_justify = "left"
    return table


def _link(link: Link) -> tuple[str, ...]:
    jitter = show_duration(link.jitter) if link.jitter else ""
    loss = show_share(link.loss) if link.loss else ""
    price = show_price_per_byte(link.price) if link.price else ""
    return link.name, show_rate(link.rate), show_duration(link.delay), jitter, loss, price, link.radio


def _ways(description: Description) -> Table:
    table = _table("Ways (of the two nodes furthest apart)")
    _name_column(table, "from")
    _name_column(table, "to")
    for name in ("delay", "RTT", "rate", "loss", "per GB"):
        table.add_column(name)
    for route in description.routes:
        table.add_row(*map(escape, _way(route)))
    return table


def _way(route: Route) -> tuple[str, ...]:
    source, target = (f"{tier}@{site}" for tier, site in (route.source, route.target))
    round_trip = "no way back" if route.round_trip is None else show_duration(route.round_trip)
    loss = show_share(route.loss) if route.loss else ""
    delay, rate, cost = show_duration(route.delay), show_rate(route.rate), f"{route.price * _GIGABYTE:.2f} $"
    return source, target, delay, round_trip, rate, loss, cost


def _warnings(description: Description) -> list[Text]:
    texts = [Text.assemble(("warning: ", "yellow"), warning) for warning in description.warnings]
    return [Text(), *texts] if texts else []
