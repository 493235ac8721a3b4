"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["count", "duration", "others", "share", "size"]


def size(value: float) -> str:
    """Bytes: 980 B, 12.3 kB, 1.58 MB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}" if value < 1e3 * scale else f"{value / scale:,.0f} {unit}"
    return f"{value:.0f} B"


def duration(value: float) -> str:
    """Seconds: 320 µs, 4.1 ms, 12.5 s."""
    if value < 1e-3:
        return f"{value * 1e6:.0f} µs"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def share(value: float | None) -> str:
    """0..1 as per cent; a dash where it is not known."""
    return "–" if value is None else f"{value:.0%}"


def count(value: int) -> str:
    """With separators: 26,000."""
    return f"{value:,}"


def others(nodes: Iterable[tuple[str, float | str]]) -> str:
    """The nodes that were not chosen: gw-1 28 ms, cam-1 may not (an input may not leave plant-1)."""
    said = [f"{node} {duration(why)}" if isinstance(why, float) else f"{node} may not ({why})" for node, why in nodes]
    return ", ".join(said) or "–"
