"""Explanations: what they say of a call, that JSON holds all of it, and that the written lines give the same back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planning.drawn import explanations, made_calls, observations
from tierflow.cost import Call, Input, Profile, Profiles, Queue, Variant
from tierflow.planning.account import Made
from tierflow.planning.choose import Choice, choose
from tierflow.planning.explanation import Explanation
from tierflow.planning.policy import Policy
from tierflow.planning.rank import rank
from tierflow.planning.recorder import AGAIN, Recorder
from tierflow.planning.recorder import explanations as read
from tierflow.topology import Topology, load
from tierflow.topology.conditions import Conditions

ROOT = Path(__file__).parents[2]
CALL = Call((Variant("detect"),), "cam-1", (Input("cam-1", 1e5),))
DECLARED = Call((Variant("detect"), Variant("detect_small", 0.8)), "cam-1", (Input("cam-1", 1e5, "site"),))


@pytest.fixture
def demo() -> Conditions:
    return Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))


def known() -> Profiles:
    profile = Profile()
    for kind, seconds in (("cloud 4 CPU x0.7", 0.02), ("edge 2 CPU x0.4", 0.08), ("device 1 CPU x0.2", 0.5)):
        for _ in range(30):
            profile = profile.observed(kind, 1.0, 1e5, seconds, 100.0)
    return Profiles({"detect": profile, "detect_small": profile})


def made(choice: Choice, call: str = "4f2a") -> Made:
    return Made(call, "any/detect", "cam-1", 1.76e9, choice.node, choice)


def explained(
    now: Conditions, policy: Policy, load: dict[str, Queue] | None = None, turn: int = 0, previous: str | None = None
) -> Explanation:
    return Explanation.of(made(choose(rank(CALL, policy, now, known(), asked="any node"), load or {}, turn, previous)))


@given(explanation=explanations())
def test_json_holds_the_whole_explanation(explanation: Explanation) -> None:
    text = explanation.to_json()
    assert Explanation.from_json(text) == explanation
    assert "NaN" not in text
    assert "Infinity" not in text


@given(explanation=explanations())
def test_the_text_fits_the_screen_and_names_every_alternative(explanation: Explanation) -> None:
    text = str(explanation)
    table = text[text.index("\n  placed on") :]
    assert all(len(line) <= 120 for line in table.splitlines())
    for row in explanation.alternatives:
        assert row.node[:17] in table


@given(made=made_calls())
def test_the_chosen_alternative_is_what_was_predicted(made: Made) -> None:
    explanation, choice = Explanation.of(made), made.choice
    assert choice is not None
    usable = [row for row in choice.alternatives() if not row.ruled_out]
    here = explanation.chosen
    assert here is not None
    assert not here.ruled_out
    assert here.time == pytest.approx(usable[0].time, rel=1e-4) or choice.explores or choice.node != usable[0].node
    assert explanation.predicted == pytest.approx(here.time, rel=1e-4)
    assert explanation.why
    shown = sum(not row.ruled_out for row in explanation.alternatives)
    late = sum("of it in a queue" in row.ruled_out for row in explanation.alternatives)
    assert shown + late + explanation.more_usable == len(list(choice.ranking.best_first()))


@given(data=st.data())
def test_lines_give_back_the_explanation_that_the_caller_would_make(data: st.DataObject) -> None:
    calls = data.draw(st.lists(st.tuples(made_calls(), st.none() | observations()), min_size=1, max_size=4))
    calls = [(replace(made, call=f"{number}-{made.call}"), seen) for number, (made, seen) in enumerate(calls)]
    recorder = Recorder("cam-1")
    assert all(recorder.add(made, seen, number * data.draw(st.sampled_from((0.0, AGAIN))))
               for number, (made, seen) in enumerate(calls))  # fmt: skip
    lines = recorder.take()
    count = data.draw(st.integers(1, 5))
    expected = [Explanation.of(made, seen) for made, seen in calls]
    assert list(read(reversed(lines), count)) == expected[-count:]
    assert list(read(reversed(lines), 9, call="0-")) == expected[:1]
    assert recorder.take() == []
