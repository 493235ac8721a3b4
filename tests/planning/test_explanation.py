"""Explanations: what they say of a call, that JSON holds all of it, and that the written lines give the same back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from tests.demo import even_demo
from tests.planning.drawn import explanations, made_calls
from tierflow.cost import Call, Input, Profile, Profiles, Queue, Variant
from tierflow.planning.account import Made, Observed
from tierflow.planning.choose import Choice, choose
from tierflow.planning.comparison import RULED_OUT, USABLE
from tierflow.planning.explanation import Explanation
from tierflow.planning.policy import Policy
from tierflow.planning.rank import rank
from tierflow.topology import NodeSpec, Topology, load
from tierflow.topology.conditions import Conditions

ROOT = Path(__file__).parents[2]
CALL = Call((Variant("detect"),), "cam-1", (Input("cam-1", 1e5),))


@pytest.fixture
def demo() -> Conditions:
    return even_demo()


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
    assert all(len(line) <= 120 for line in text.splitlines())
    for row in explanation.alternatives:
        assert row.node[:17] in text


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


def test_it_says_what_was_called_chosen_and_observed(demo: Conditions) -> None:
    explanation = explained(demo, Policy()).with_observed("gw-1", 0.222, 0.16, 120.0)
    assert explanation.ratio == pytest.approx(2.0, rel=0.01)
    assert str(explanation).splitlines()[:9] == [
        "any/detect, called from cam-1 at 2025-10-09T08:53:20Z, call 4f2a",
        "  asked      any node",
        "  policy     the least latency",
        "  input      100 kB on cam-1",
        "  placed on  gw-1: of 5 ways to run it, it has the least latency: 111 ms, against 249 ms on cloud-1",
        "  predicted  111 ms, 80 ms of it in the function",
        "  observed   222 ms on gw-1, 160 ms of it in the function, a result of 120 B, 2 x the prediction",
        "  node    time       compute    transfer   dispatch   queue      codec      bytes      energy ~   money",
        "> gw-1    111 ms     80 ms      28.9 ms    2 ms       -          -          104 kB     600 mJ     -",
    ]


def test_energy_is_called_modelled_and_an_unknown_one_is_null(demo: Conditions) -> None:
    rows = json.loads(explained(demo, Policy()).to_json())["alternatives"]
    assert {row["energy"]["source"] for row in rows} == {"modelled"}
    assert "energy is always modelled" in str(explained(demo, Policy()))
    nodes = tuple(node.model_copy(update={"power": None}) for node in demo.topology.nodes)
    unpowered = explained(Conditions.of(replace(demo.topology, nodes=nodes)), Policy())
    assert all(math.isnan(row.energy.value) for row in unpowered.alternatives)
    assert json.loads(unpowered.to_json())["alternatives"][0]["energy"]["value"] is None


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (Policy.of(minimise="bytes"), "of 5 ways to run it, it has the least bytes: none, against 104 kB on cam-2"),
        (
            Policy.of(minimise={"latency": 1, "money": 50}),
            "of 5 ways to run it, it has the least latency + 50 x money: 0.1109, against 0.2485 on cloud-1",
        ),
        (
            Policy.of(order=("cloud", "edge")),
            "of 5 ways to run it, it comes first in the order of tiers and has the least latency: 249 ms, against "
            "111 ms on gw-1",
        ),
        (Policy.of(stay="site", deadline="300 ms"), "it is the only one that can run it"),
    ],
)
def test_the_reason_names_what_was_minimised_and_the_next_best(demo: Conditions, policy: Policy, why: str) -> None:
    assert explained(demo, policy).why == why


def test_what_rules_an_alternative_out_is_told(demo: Conditions) -> None:
    explanation = explained(demo, Policy.of(deadline="300 ms", stay="site"), {"gw-1": Queue(2, 0.2)})
    assert {row.node: row.ruled_out for row in explanation.alternatives} == {
        "gw-1": "",
        "cam-1": "would take 502 ms, not 300 ms",
        "cam-2": "would take 551 ms, not 300 ms",
        "cam-3": "would take 551 ms, not 300 ms",
        "cloud-1": "an input may not leave plant-1",
    }
    busy = explained(demo, Policy.of(deadline="300 ms"), {"gw-1": Queue(8, 2.4)})
    assert busy.node == "cloud-1"
    gateway = next(row for row in busy.alternatives if row.node == "gw-1")
    assert gateway.ruled_out == "would take 1.16 s (1.05 s of it in a queue), not 300 ms"
    assert busy.why == "it is the only one that can run it"


def test_exploring_and_staying_are_said(demo: Conditions) -> None:
    same = [explained(demo, Policy(), {"gw-1": Queue(2, 0.277 + extra)}, previous="gw-1") for extra in (0.0, 0.278)]
    assert [explanation.node for explanation in same] == ["gw-1", "gw-1"]
    assert same[1].why == "the call before was placed there, and cloud-1 would save too little to move"
    profile = Profile()
    for _ in range(30):
        profile = profile.observed("device 1 CPU x0.2", 1.0, 1e5, 0.05, 100.0)
    ranking = rank(CALL, Policy(), demo, Profiles({"detect": profile}))
    tried = next(choice for turn in range(4000) if (choice := choose(ranking, {}, turn)).explores)
    why = Explanation.of(made(tried)).why
    assert why == "it is tried now and then, since it might be better than cam-1, which is predicted to be the best"


def test_a_call_that_ran_elsewhere_has_a_note_and_one_that_failed_no_ratio(demo: Conditions) -> None:
    placed = explained(demo, Policy())
    assert placed.note == ""
    moved = placed.with_observed("cam-2", 0.6, 0.5, 10.0)
    assert moved.note == "it ran on cam-2, not on gw-1: Ray took the next best, as gw-1 was busy or gone"
    assert moved.note in str(moved)
    failed = placed.with_observed("gw-1", 0.6, None, None, "ValueError: no frame")
    assert failed.ratio is None
    assert "observed   600 ms on gw-1, ended in ValueError: no frame" in str(failed)


def test_a_call_that_was_placed_without_a_choice_says_what_it_asked_for() -> None:
    why = "asked for node cam-1; it is the only node that fits"
    named = Made("c", "any@cam-1/read", "gw-1", 0.0, "cam-1", asked="node cam-1", why=why)
    explanation = Explanation.of(named, Observed("cam-1", 0.01, 0.002, 64.0))
    assert explanation.why == why
    assert explanation.alternatives == ()
    assert explanation.ratio is None
    assert Explanation.of(replace(named, why="")).why == "asked for node cam-1"
    assert str(explanation).splitlines()[2:] == [
        "  placed on  cam-1: asked for node cam-1; it is the only node that fits",
        "  observed   10 ms on cam-1, 2 ms of it in the function, a result of 64 B",
    ]


def test_of_many_alternatives_the_first_are_told_and_the_others_counted() -> None:
    crowd = tuple(NodeSpec(name=f"gw-{n:02}", tier="edge", site="plant-1", cpus=4) for n in range(40))
    spec = load(ROOT / "clusters/demo.yaml")
    wide = Conditions.of(Topology.of(spec.model_copy(update={"nodes": (*spec.nodes, *crowd)})))
    queues = {node.name: Queue(40, 4.0 + index) for index, node in enumerate(wide.topology.nodes)}
    explanation = explained(wide, Policy(), {**queues, "cam-3": Queue()})
    assert explanation.node == "cam-3"
    assert len(explanation.alternatives) == USABLE + 1
    assert explanation.more_usable == 45 - USABLE - 1
    assert explanation.chosen in explanation.alternatives
    none = explained(wide, Policy.of(stay="device"))
    assert len([row for row in none.alternatives if row.ruled_out]) == RULED_OUT
    assert none.more_ruled_out == 44 - RULED_OUT
    assert "and 0 more that can run it, 24 more that are ruled out" in str(none)
