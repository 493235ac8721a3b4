"""Drawings of the report as inline SVG: a series with its labels, scores and alarms; the bytes of each link."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np

from jobs.anomaly.outcome import METHODS, Scored
from jobs.anomaly.series import Flags, Floats, runs
from jobs.anomaly.sketch import COLUMNS, Sketch, envelope
from jobs.anomaly.traffic import Link
from jobs.anomaly.words import count, size

__all__ = ["bars", "link_bars", "series_chart"]

WIDTH = 600
READINGS, SCORES, LANE = 96, 56, 13
TOP = 2.5  # the score panel ends at this many thresholds; what is above is drawn at its edge


def series_chart(scored: Scored) -> str:
    """The readings with labelled events behind them, the models' score under them, one lane of alarms a method."""
    rows = len(scored.labels)
    if rows == 0:
        return '<p class="quiet">Nothing of this series was scored.</p>'
    height = READINGS + SCORES + 14 + LANE * len(METHODS)
    parts = _events(scored.labels, rows, height) if scored.card.labelled else []
    if scored.sketch is not None:
        parts.append(_readings(scored.sketch))
    parts += _scores(scored.scores["model"])
    for lane, method in enumerate(METHODS):
        y = READINGS + SCORES + 14 + lane * LANE
        parts.append(f'<line class="lane" x1="0" x2="{WIDTH}" y1="{y + 5}" y2="{y + 5}"/>')
        parts += _alarms(scored.scores[method] > 1, rows, y, method)
    title = escape(f"{scored.card.title}: {rows} test rows, readings, scores and alarms")
    return (
        f'<svg class="series" viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{title}">{"".join(parts)}</svg>'
    )


def _events(labels: Flags, rows: int, height: int) -> list[str]:
    parts = []
    for start, stop in runs(labels):
        x, width = WIDTH * start / rows, max(2.0, WIDTH * (stop - start) / rows)
        parts.append(f'<rect class="event" x="{x:.1f}" y="0" width="{width:.1f}" height="{height}"/>')
    return parts


def _readings(sketch: Sketch) -> str:
    low, high = float(sketch.low.min()), float(sketch.high.max())
    span = (high - low) or 1.0
    return _band(sketch.low, sketch.high, lambda value: 4 + (READINGS - 12) * (1 - (value - low) / span), "readings")


def _scores(score: Floats) -> list[str]:
    low, high = envelope(np.minimum(score, TOP))
    base = READINGS + SCORES

    def place(value: float) -> float:
        return base - SCORES * value / TOP

    line = f'<line class="limit" x1="0" x2="{WIDTH}" y1="{place(1):.1f}" y2="{place(1):.1f}"/>'
    return [_band(low, high, place, "score"), line]


def _band(low: Floats, high: Floats, place: Callable[[float], float], kind: str) -> str:
    step = WIDTH / len(low)
    tops = [f"{at * step:.1f},{place(float(value)):.1f}" for at, value in enumerate(high)]
    feet = [f"{at * step:.1f},{place(float(value)) + 0.8:.1f}" for at, value in reversed(list(enumerate(low)))]
    return f'<polygon class="{kind}" points="{" ".join(tops + feet)}"/>'


def _alarms(alarm: Flags, rows: int, y: float, method: str) -> list[str]:
    """Ticks at least two columns wide; ticks that touch are one."""
    columns = np.unique(np.flatnonzero(alarm) * COLUMNS // rows)
    drawn = np.zeros(COLUMNS + 2, dtype=bool)
    drawn[columns] = drawn[columns + 1] = True
    unit = WIDTH / COLUMNS
    return [
        f'<rect class="alarm {method}" x="{start * unit:.1f}" y="{y}" width="{(stop - start) * unit:.1f}" '
        'height="10" rx="1"/>'
        for start, stop in runs(drawn)
    ]


def bars(values: Mapping[str, int], kind: str) -> str:
    """One bar a name, longest first as given, with its bytes written out."""
    top = max([*values.values(), 1])
    rows = [
        f'<tr><th scope="row">{escape(name)}</th><td class="bar"><svg viewBox="0 0 100 8" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect class="{kind}" width="{max(0.6, 100 * value / top):.1f}" height="8" rx="1"/></svg>'
        "</td>"
        f'<td class="number" title="{count(value)} bytes">{size(value)}</td></tr>'
        for name, value in values.items()
    ]
    return f'<table class="bars">{"".join(rows)}</table>'


def link_bars(links: Sequence[Link]) -> str:
    """Two bars a link: what it carried, and what raw readings would have put on it."""
    top = max([1, *(max(link.measured, link.raw) for link in links)])
    rows = []
    for link in links:
        carried, raw = 100 * link.measured / top, 100 * link.raw / top
        drawn = (
            f'<rect class="link" width="{carried:.1f}" height="7"/>'
            f'<rect class="raw" y="9" width="{raw:.1f}" height="5"/>'
        )
        rows.append(
            f'<tr><th scope="row">{escape(link.name)}</th><td class="bar"><svg viewBox="0 0 100 14" '
            f'preserveAspectRatio="none" aria-hidden="true">{drawn}</svg></td>'
            f'<td class="number">{size(link.measured)}</td>'
            f'<td class="number quiet">{size(link.raw) if link.raw else "–"}</td></tr>'
        )
    legend = (
        '<div class="legend"><span><i class="dot link"></i>'
        'carried during this run (measured)</span><span><i class="dot raw"></i>every raw reading (computed)</span>'
        "</div>"
    )
    head = '<thead><tr><th>link</th><th></th><th class="number">carried</th><th class="number">raw</th></tr></thead>'
    return f'{legend}<table class="bars links">{head}<tbody>{"".join(rows)}</tbody></table>'
