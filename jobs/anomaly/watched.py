"""The report's part on a watch: what each site answered, what waited, and how it drained."""

from __future__ import annotations

from html import escape

import numpy as np

from jobs.anomaly.chart import WIDTH
from jobs.anomaly.watch import Watch
from jobs.anomaly.words import count, duration, share

__all__ = ["HEAD", "rows", "watch_chart"]

ANSWERS, BACKLOG, COLUMNS = 60, 60, 120
HEAD = (
    "site", "uplink", "answered in the site", "p99, free", "p99, cut", "waited at the heal", "all there after",
)  # fmt: skip


def rows(watch: Watch) -> list[tuple[str, ...]]:
    """A row for each cut of each site; one for a site that was never cut."""
    found: list[tuple[str, ...]] = []
    for site in watch.sites:
        free, cuts = watch.p99(site), watch.cuts(site)
        for cut in cuts:
            span = f"cut from {cut.start:.0f} to {cut.end:.0f} s"
            answered = f"{count(cut.answered)} of {count(cut.made)} ({share(cut.answered / cut.made)})"
            drained = duration(cut.drained)
            found.append(
                (site, span, answered, duration(free), duration(cut.p99), f"{count(cut.backlog)} verdicts", drained)
            )
        if not cuts:
            mine = watch.of(site)
            right = sum(not one.error for one in mine)
            answered = f"{count(right)} of {count(len(mine))} ({share(right / len(mine))})"
            found.append((site, "never cut", answered, duration(free), "–", "–", "–"))
    return found


def watch_chart(watch: Watch, site: str) -> str:
    """Above, verdicts made in the site (bars); below, how many of them had not yet arrived (area); cuts behind both."""
    end = max([watch.seconds, *(one.arrived for one in watch.verdicts)])
    height, unit = ANSWERS + BACKLOG + 12, WIDTH / end
    parts = [
        f'<rect class="event" x="{cut.start * unit:.1f}" y="0" width="{(cut.end - cut.start) * unit:.1f}" '
        f'height="{height}"/>'
        for cut in watch.cuts(site)
    ]
    columns = max(1, min(COLUMNS, int(end / 3)))  # a few batches in each
    edges = np.linspace(0, end, columns + 1)
    made, _ = np.histogram([one.made for one in watch.of(site) if not one.error], edges)
    for at, value in enumerate(made):
        tall = ANSWERS * value / max(made.max(), 1)
        parts.append(
            f'<rect class="answers" x="{at * WIDTH / columns:.1f}" y="{ANSWERS - tall:.1f}" '
            f'width="{WIDTH / columns - 0.6:.1f}" height="{tall:.1f}"/>'
        )
    times = np.linspace(0, end, 4 * COLUMNS)
    waiting = watch.backlog(site, times)
    base, most = height, max(float(waiting.max()), 1.0)
    line = " ".join(
        f"{at * unit:.1f},{base - BACKLOG * value / most:.1f}" for at, value in zip(times, waiting, strict=True)
    )
    parts.append(f'<polygon class="backlog" points="0,{base} {line} {WIDTH},{base}"/>')
    title = escape(f"{site}: verdicts made, and how many waited, at most {most:.0f}")
    return (
        f'<svg class="series" viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{title}">{"".join(parts)}</svg>'
        f"<div class=ends><span>0 s</span><span>at most {most:.0f} waited</span><span>{end:.0f} s</span></div>"
    )
