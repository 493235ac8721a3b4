"""The lines of calls: they give back what the caller would explain, and there are not too many of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planning.drawn import made_calls, observations
from tierflow.cost import Call, Input, Profiles, Queue, Variant
from tierflow.planning.account import Made, Observed
from tierflow.planning.choose import choose
from tierflow.planning.explanation import Explanation
from tierflow.planning.policy import Policy
from tierflow.planning.rank import Ranking, rank
from tierflow.planning.recorder import AGAIN, BURST, RATE, Recorder, explanations
from tierflow.topology import NodeSpec, Topology, load
from tierflow.topology.conditions import Conditions

ROOT = Path(__file__).parents[2]
SEEN = Observed("gw-1", 0.11, 0.08, 120.0)


@pytest.fixture
def ranking() -> Ranking:
    demo = load(ROOT / "clusters/demo.yaml")
    crowd = tuple(NodeSpec(name=f"gw-{n:02}", tier="edge", site="plant-1", cpus=4) for n in range(40))
    wide = Conditions.of(Topology.of(demo.model_copy(update={"nodes": (*demo.nodes, *crowd)})))
    return rank(Call((Variant("detect"),), "cam-1", (Input("cam-1", 1e5),)), Policy(), wide, Profiles())


def made(ranking: Ranking, call: str, load: dict[str, Queue] | None = None) -> Made:
    choice = choose(ranking, load or {})
    return Made(call, "any/detect", "cam-1", 1.76e9, choice.node, choice)


@given(data=st.data())
def test_lines_give_back_the_explanation_that_the_caller_would_make(data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.tuples(made_calls(), st.none() | observations()), min_size=1, max_size=4))
    calls = [(replace(made, call=f"{number}-{made.call}"), seen) for number, (made, seen) in enumerate(drawn)]
    recorder, now = Recorder("cam-1"), 0.0
    for made, seen in calls:
        now += data.draw(st.sampled_from((0.0, 1.0, AGAIN)))
        assert recorder.add(made, seen, now)
    lines, count = recorder.take(), data.draw(st.integers(1, 5))
    expected = tuple(Explanation.of(made, seen) for made, seen in calls)
    assert explanations(reversed(lines), count) == expected[-count:]
    assert explanations(reversed(lines), 9, call="0-") == expected[:1]
    assert recorder.take() == []


def test_a_comparison_is_written_once_and_again_after_a_while(ranking: Ranking) -> None:
    recorder = Recorder("cam-1-77")
    for number, now in enumerate((0.0, 1.0, 2.0, AGAIN + 1, AGAIN + 2)):
        recorder.add(made(ranking, f"c{number}"), SEEN, now)
    kinds = [line[2:9] for line in recorder.take()]
    assert kinds == ["ranking", 'call":"', 'call":"', 'call":"', "ranking", 'call":"', 'call":"']


def test_a_chosen_row_beyond_the_first_ten_is_added_once(ranking: Ranking) -> None:
    recorder, names = Recorder("cam-1"), [node.name for node in ranking.conditions.topology.nodes]
    load = {name: Queue(40, 4.0) for name in names if name != "cam-3"}
    for number in range(3):
        recorder.add(made(ranking, f"c{number}", load), SEEN, 0.0)
    lines = recorder.take()
    assert [line.startswith('{"row":') for line in lines] == [False, True, False, False, False]
    assert [told.chosen is not None for told in explanations(reversed(lines), 3)] == [True, True, True]


def test_a_comparison_that_is_no_longer_kept_leaves_the_call(ranking: Ranking) -> None:
    recorder = Recorder("cam-1")
    recorder.add(made(ranking, "c"), SEEN, 0.0)
    (told,) = explanations([recorder.take()[-1]], 1)
    assert told.why == "it was compared with others, which are no longer kept"
    assert told.alternatives == ()
    assert told.predicted == Explanation.of(made(ranking, "c")).predicted


def test_what_is_beyond_the_rate_is_counted_and_left_out_evenly(ranking: Ranking) -> None:
    """2,000 calls a second for a minute: a burst at first, then as many as the rate has room for."""
    recorder, call, written, kept = Recorder("cam-1"), made(ranking, "c"), 0, []
    for number in range(120_000):
        if recorder.add(call, SEEN, number / 2000):
            kept.append(number)
        if number % 2000 == 1999:
            written += sum(map(len, recorder.take()))
    assert written <= BURST + 60 * RATE + 10_000
    assert written >= 60 * RATE
    late = [number for number in kept if number > 60_000]
    gaps = [b - a for a, b in pairwise(late)]
    assert max(gaps) <= 2 * min(gaps) or max(gaps) < 200
    assert recorder.add(call, SEEN, 1e6)
    (told,) = explanations(reversed(recorder.take()), 1)
    assert told.skipped == 119_999 - kept[-1]


def test_lines_that_nobody_takes_do_not_pile_up(ranking: Ranking) -> None:
    recorder, call = Recorder("cam-1"), made(ranking, "c")
    for hour in range(200):
        recorder.add(call, SEEN, hour * 3600.0)
        for _ in range(20):
            recorder.add(call, SEEN, hour * 3600.0)
    assert sum(map(len, recorder.take())) <= BURST + 10_000
