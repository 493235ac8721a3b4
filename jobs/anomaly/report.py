"""The run's report: one HTML file that asks nothing of any network, for light and dark and for a phone."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from jobs.anomaly.chart import bars, link_bars, series_chart
from jobs.anomaly.outcome import METHODS, Outcome, Scored
from jobs.anomaly.tables import NOT_MEASURED
from jobs.anomaly.watch import Watch
from jobs.anomaly.watched import HEAD, rows, watch_chart
from jobs.anomaly.words import count, duration, others, share, size

__all__ = ["page", "write"]

STYLE = Path(__file__).with_name("report.css")


def write(outcome: Outcome, path: Path) -> None:
    """Write the report; the folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(outcome), encoding="utf-8")


def page(outcome: Outcome) -> str:
    """The whole document."""
    sections = [_head(outcome), _findings(outcome), _series(outcome), _traffic(outcome), _latencies(outcome)]
    sections += [_watched(outcome.watch)] if outcome.watch is not None else []
    sections += [_placements(outcome), _versions(outcome), _method(outcome)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>Sensor anomalies across the tiers</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>"
    )


def _section(title: str, body: str, note: str = "") -> str:
    quiet = f'<p class="quiet">{note}</p>' if note else ""
    return f"<section><h2>{title}</h2>{quiet}{body}</section>"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], words: int = 1) -> str:
    """Cells are HTML already; the first ``words`` columns are text, the others figures."""

    def cell(tag: str, at: int, text: str) -> str:
        return f"<{tag}{'' if at < words else ' class=number'}>{text}</{tag}>"

    top = "".join(cell("th", at, text) for at, text in enumerate(head))
    body = "".join(f"<tr>{''.join(cell('td', at, text) for at, text in enumerate(row))}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _dot(method: str) -> str:
    return f'<i class="dot {method}"></i>{METHODS[method]}'


def _alarms(number: int, what: str = "alarm") -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _head(outcome: Outcome) -> str:
    stopped = (
        '<p class="warning">Stopped early: the figures are of what was scored until then.</p>'
        if outcome.stopped
        else ""
    )
    tiles = []
    for method in METHODS:
        found, events, false = outcome.found(method)
        alarms = _alarms(false, "false alarm")
        tiles.append(
            f'<div class="tile {method}"><span>{_dot(method)}</span><b>{found}<small> of {events}</small></b>'
            f"<em>{alarms}</em></div>"
        )
    saved = f"{size(outcome.to_cloud)}<small> of {size(outcome.raw_size)}</small>"
    tiles.append(f'<div class="tile"><span>sent to the cloud</span><b>{saved}</b><em>payload; raw: computed</em></div>')
    nodes = len({actor.node for actor in outcome.actors})
    rows = sum(len(one.labels) for one in outcome.series)
    return (
        "<header><p class=eyebrow>tierflow · sensor_anomaly</p><h1>Sensor anomalies across device, edge and cloud</h1>"
        f"<p>{len(outcome.series)} series, {count(rows)} test rows scored; the job ran on {nodes} nodes and took "
        f"{duration(outcome.duration)}; seed {outcome.seed}. Tiles: labelled anomalies found, on rows that neither "
        "trained a model nor chose a threshold.</p>"
        f'{stopped}<div class="tiles">{"".join(tiles)}</div></header>'
    )


def _findings(outcome: Outcome) -> str:
    rows = []
    for one in outcome.series:
        for at, method in enumerate(METHODS):
            tally = one.tally(method)
            labelled = one.card.labelled
            rows.append((
                f"<strong>{escape(one.card.title)}</strong>" if at == 0 else "", _dot(method),
                f"{tally.found} of {tally.events}" if labelled
                else f"<span class=quiet>{_alarms(tally.alarms)}, no labels</span>",
                str(tally.false_alarms) if labelled else "–", f"{tally.false_alarm_rate:.1f}" if labelled else "–",
                share(tally.precision), share(tally.recall),
            ))  # fmt: skip
    head = ("series", "method", "found", "false alarms", "per 10,000 rows", "precision", "recall")
    note = (
        "Precision and recall count rows; found and false alarms count events. "
        "All methods have the same threshold rule and data."
    )
    return _section("What was found", _table(head, rows, words=2), note)


def _series(outcome: Outcome) -> str:
    legend = "".join(f"<span>{_dot(method)} alarm</span>" for method in METHODS)
    legend += '<span><i class="dot labelled"></i>labelled anomaly</span><span><i class="dot limit"></i>threshold</span>'
    cards = "".join(_card(one) for one in outcome.series)
    return _section("The series", f'<div class="legend">{legend}</div>{cards}')


def _card(one: Scored) -> str:
    card, sketch = one.card, one.sketch
    ends = (
        f"<div class=ends><span>{escape(sketch.first)}</span><span>{escape(sketch.last)}</span></div>" if sketch else ""
    )
    drawn = f"; drawn: {escape(sketch.channel)}" if sketch and card.channels > 1 else ""
    facts = (
        f"{escape(card.source)}. {card.channels} channel{'s' if card.channels > 1 else ''}{drawn}. "
        f"Trained on {count(card.train_rows)} rows, "
        f"threshold from {count(card.calibration_rows)}, tested on {count(len(one.labels))}. "
        f"Labelled by {escape(card.labelled_by)}. Season of the baseline: {card.season} rows. "
        f"Edge asked about {count(int(one.asked.sum()) // 8)} windows."
    )
    troubles = "".join(f"<li>{escape(trouble)}</li>" for trouble in card.troubles)
    listed = f"<ul>{troubles}</ul>" if troubles else ""
    unit = f" <small>{escape(card.unit)}</small>" if card.unit else ""
    head = f"<h3>{escape(card.title)}{unit}</h3>"
    return f"<article>{head}{series_chart(one)}{ends}<p class=quiet>{facts}</p>{listed}</article>"


def _traffic(outcome: Outcome) -> str:
    if outcome.links is None:
        links = f"<h3>On each link</h3><p>{NOT_MEASURED.capitalize()}. What the job itself handed over is below.</p>"
    else:
        links = f"<h3>On each link, measured at the interface</h3>{link_bars(outcome.links)}"
    payloads = {f"{one.source} → {one.target}: {one.what}": one.size for one in outcome.payloads}
    against = {"what the job sent": outcome.to_cloud, "every raw reading (computed)": outcome.raw_size}
    note = (
        "Raw readings stay in their site. Out of it go 8-bit summaries of normal windows (shuffled; no times, "
        "no units, no phase), the small models' weights, scores with labels, and the drawings in this report."
    )
    body = f"{links}<h3>The job's own payloads</h3>{bars(payloads, 'payload')}"
    body += f"<h3>To the cloud</h3>{bars(against, 'cloud')}"
    extra = ""
    if outcome.links is not None:
        extra = (
            "Measured bytes include Ray's own traffic (starting workers, heartbeats, code, logs), which on series this "
            "short outweighs the readings; sending the readings would come on top of it."
        )
    return _section("Traffic", body, f"{note} {extra}")


def _latencies(outcome: Outcome) -> str:
    rows = [(o.tier, o.what, count(o.calls), duration(o.median), duration(o.p99)) for o in outcome.latencies]
    return _section("Latency", _table(("tier", "call", "calls", "median", "p99"), rows, words=2))


def _watched(watch: Watch) -> str:
    legend = (
        '<div class="legend"><span><i class="dot model"></i>verdicts made in the site</span>'
        '<span><i class="dot backlog"></i>verdicts that waited for the uplink</span>'
        '<span><i class="dot labelled"></i>the uplink was cut</span></div>'
    )
    drawn = "".join(f"<article><h3>{escape(site)}</h3>{watch_chart(watch, site)}</article>" for site in watch.sites)
    table = _table(HEAD, [tuple(map(escape, row)) for row in rows(watch)], words=2)
    note = (
        f"For {duration(watch.seconds)} each device scored a batch a second by itself and put the verdict into its "
        f"outbox. Made: {count(sum(watch.counted.values()))}; lost: {watch.lost}; arrived twice: {watch.twice}. "
        "A cut is read off verdicts that arrived late; its end is when the first of them was there."
    )
    return _section("Through cuts", f"{table}{legend}{drawn}", note)


def _placements(outcome: Outcome) -> str:
    rows = [tuple(map(escape, (a.role, a.node, a.tier, a.site, a.why))) for a in outcome.actors]
    actors = _table(("actor", "node", "tier", "site", "why"), rows, words=5)
    trainings = []
    for one in outcome.trained:
        place = one.placed
        seconds = tuple("–" if value is None else duration(value) for value in (place.predicted, place.observed))
        words = (f"{one.name}, version {one.version}", place.node, *seconds, others(place.others), place.why)
        trainings.append(tuple(map(escape, words)))
    head = ("training of", "node", "predicted", "observed", "elsewhere, predicted", "why")
    note = (
        "Only data is held: a device's readings to their node, a site's histories to the site. All else the fabric "
        "places by what it predicts, call by call for trainings. Of a function that has not run on this fabric it only "
        "knows which node is faster. Seconds are from the call to the result; a worker's first call also loads what "
        "it needs. Predictions go by the bytes of the inputs: of version 1 and of version 2, which takes three times "
        "as many steps on the same bytes, they tell a time in between."
    )
    return _section(
        "Where everything ran, and why", f"{actors}<h3>Trainings</h3>{_table(head, trainings, words=6)}", note
    )


def _versions(outcome: Outcome) -> str:
    trained = {(one.name, one.version): one for one in outcome.trained}
    rows = []
    for one in outcome.versions:
        made = trained.get((one.model, one.number))
        figures = (count(made.parameters), duration(made.duration)) if made else ("–", "–")
        used = next((s.versions.get(one.number, 0) for s in outcome.series if s.card.name == one.model), None)
        windows = "–" if used is None else count(used)
        rows.append(
            (escape(one.model), str(one.number), *figures, size(one.size), f"<code>{one.digest}</code>", windows)
        )
    head = ("model", "version", "parameters", "training", "weights", "digest", "windows scored")
    return _section(
        "Model versions the cloud keeps",
        _table(head, rows),
        "Version 2 was trained and pushed down while version 1 scored.",
    )


def _method(outcome: Outcome) -> str:
    paragraphs = (
        "The device's model forecasts 8 rows from the 32 before them, with its own uncertainty; a row's score is its "
        "distance from the forecast. Windows between half and three times the threshold go to the edge, whose larger "
        "model tries to rebuild a summary of the window; the two shares of a threshold are averaged geometrically.",
        "Threshold of every method: the median of its scores on calibration rows, plus 1.5 times the way to the "
        "largest. An event is found by an alarm inside it, up to 8 rows before or 32 after; further alarms are false, "
        "and those within 40 rows of each other are one. No label and no test row took part in training or thresholds. "
        "The shape of the models was chosen while looking at these series, so the figures say how well the job works "
        "here, not how well it would on a series that nobody has seen.",
        "z-score: distance from the training mean. Seasonal-naive: distance from the row one season ago, the season "
        "found by autocorrelation on the training rows. Both take the farthest channel.",
    )
    text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return _section("How it was counted", text, f"Seed {outcome.seed}.")
