"""What a person may name when he changes links: a direction, a pair, a node or a site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["resolve"]


def resolve(target: str, config: Mapping[str, Any]) -> list[int]:
    """The numbers of the links that `target` means.

    "a->b" is that direction; "a<->b" is both; a node or a site is everything to and from it (what runs between the
    nodes of a site is inside it, and stays).

    Raises:
        ValueError: there is no such link, node or site.
    """
    links = config["links"]
    if "->" in target:
        a, two_ways, b = target.partition("<->")
        names = {f"{a}->{b}", f"{b}->{a}"} if two_ways else {target}
        found = [number for number, link in enumerate(links) if link["name"] in names]
        if not found:
            raise ValueError(f"there is no link {target!r}; the links are {', '.join(link['name'] for link in links)}")
        return found
    inside = {node["name"] for node in config["nodes"] if target in (node["name"], node["site"])}
    if not inside and target not in config["sites"]:
        known = sorted({*(node["name"] for node in config["nodes"]), *config["sites"]})
        raise ValueError(f"there is no node, site or link {target!r}; nodes and sites are {', '.join(known)}")
    if target in config["sites"]:
        inside.add(target)
    return [number for number, link in enumerate(links) if (link["source"] in inside) != (link["target"] in inside)]
