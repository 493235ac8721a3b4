from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jobs.anomaly.outcome import Outcome
from jobs.anomaly.report import page, write
from jobs.anomaly.traffic import Link
from jobs.anomaly.training import Placed

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
)
OWN = ("google.com", "googleapis.com", "gvt1.com")  # what the browser itself asks, whatever page it shows
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Nesting(HTMLParser):
    """Fails on a tag that is closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_for_nothing(outcome: Outcome) -> None:
    text = page(outcome)
    parser = Nesting()
    parser.feed(text)
    assert parser.open == []
    assert parser.addresses == ["data:,"]
    assert not re.search(r"https?://|@import|url\(|<script", text)
    assert len(text) < 1_000_000


def test_it_shows_every_method_series_actor_and_trouble(outcome: Outcome) -> None:
    text = page(outcome)
    for one in outcome.series:
        assert one.card.title in text
        assert all(trouble in text for trouble in one.card.troubles)
    for actor in outcome.actors:
        assert f"<td>{actor.node}</td>" in text
    for one in outcome.trained:
        assert f"<td>{one.name}, version {one.version}</td><td>{one.placed.node}</td>" in text
    assert text.count("8<small> of 8</small>") == 1
    assert "no labels" in text


def test_a_training_is_shown_with_what_was_predicted_and_observed_and_with_the_others(outcome: Outcome) -> None:
    others = (("gw-1", 0.0284), ("cam-1", "an input may not leave <b>"))
    placed = Placed("cloud-1", "it has the least latency", 0.0196, 1.28, others)
    text = page(replace(outcome, trained=(replace(outcome.trained[0], placed=placed),)))
    assert "<td>19.6 ms</td><td>1.28 s</td>" in text
    assert "<td>gw-1 28.4 ms, cam-1 may not (an input may not leave &lt;b&gt;)</td>" in text


def test_it_says_when_links_were_not_measured_and_draws_them_when_they_were(outcome: Outcome) -> None:
    assert "Not measured: links are not shaped" in page(replace(outcome, links=None))
    text = page(replace(outcome, links=(Link("cam-1->plant-1", 1_230_000, 7_000),)))
    assert "cam-1-&gt;plant-1" in text
    assert "1.23 MB" in text


def test_names_from_outside_cannot_break_the_page(outcome: Outcome) -> None:
    first = outcome.series[0]
    card = replace(first.card, title="<script>x</script>", source="a&b", unit="<b>", troubles=("<i>",))
    text = page(replace(outcome, series=(replace(first, card=card),)))
    assert "<script" not in text
    assert "<b>" not in re.sub(r"<b>\d", "", text)
    assert "a&amp;b" in text


def test_a_stopped_run_says_so(outcome: Outcome) -> None:
    first = outcome.series[0]
    cut = replace(
        first, scores={m: s[:0] for m, s in first.scores.items()}, labels=first.labels[:0], asked=first.asked[:0]
    )
    text = page(replace(outcome, series=(cut,), stopped=True))
    assert "Stopped early" in text
    assert "Nothing of this series was scored" in text


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_renders_it_and_requests_nothing(outcome: Outcome, tmp_path: Path) -> None:
    path, log = tmp_path / "report.html", tmp_path / "net.json"
    write(outcome, path)
    assert BROWSER is not None
    options = [*QUIET.split(), f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}"]
    done = subprocess.run([BROWSER, *options, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    dom = done.stdout
    assert dom.count('<svg class="series"') == len(outcome.series)
    assert dom.count("<section>") == page(outcome).count("<section>")
    assert dom.count('class="alarm model"') >= 8
    hosts = set(re.findall(r'"url":"https?://([^/":]+)', log.read_text()))
    assert not {host for host in hosts if not host.endswith(OWN)}
