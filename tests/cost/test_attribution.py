"""What a finished call says: what is known comes back, and steps are blamed on what could have made them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.cost import RAW, Call, Codec, Dispatch, Input, Outcome, Transfer, Variant, Watched, attribute
from tierflow.cost.moves import moves
from tierflow.cost.transfer import GOODPUT
from tierflow.topology import Topology, load
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

ROOT = Path(__file__).parents[2]
UPLINK, CAM, CLOUD, GATEWAY = "plant-1->region-1", "cam-1", "cloud-1", "gw-1"
COMPUTE = 0.05
sizes = st.floats(0.0, 1e7)


def calls(size: float, caller: str = CAM) -> Call:
    return Call((Variant("f"),), caller, (Input(caller, size),))


def known() -> Conditions:
    """The demo after its links and nodes were watched for a while."""
    now = Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))
    links = {
        link.name: LinkChange(
            rate=Value(link.rate * GOODPUT, link.rate * 0.03), delay=Value(link.delay, link.delay / 50)
        )
        for link in now.topology.links
    }
    return now.changed({name: NodeChange(dispatch=Value(0.01, 0.001)) for name in now.fixed.nodes}, links)


def with_rate(now: Conditions, rate: float, name: str = UPLINK) -> Conditions:
    return now.changed(links={name: LinkChange(rate=Value(rate, rate / 50))})


def went(
    call: Call, node: str, true: Conditions, codec: Codec = RAW, result: float = 100.0, extra: float = 0.0
) -> Outcome:
    """How a call goes where everything takes as long as is predicted, and `extra` seconds more."""
    at = true.fixed.nodes[node]
    parts = [move for move in moves(call, codec, result, true) if not move.later]
    seconds = sum(float(move.lag.value[at] + move.packing.value[at] + move.sending.value[at]) for move in parts)
    return Outcome(seconds + float(true.dispatch.value[at]) + COMPUTE + extra, COMPUTE, result, 1.0)


def rate(now: Conditions, name: str = UPLINK) -> float:
    return now.rate.at(now.fixed.links[name]).value


def learned(now: Conditions, said: Dispatch | Transfer | None) -> Conditions:
    if isinstance(said, Transfer):
        return Watched().transferred(said, now)[1]
    return Watched().dispatched(said.node, said.seconds, said.ended, now)[1] if said else now


@given(
    size=st.floats(0.0, 5e3),
    seconds=st.floats(1e-3, 0.04),
    node=st.sampled_from((CAM, GATEWAY, CLOUD)),
    result=st.floats(0.0, 1e7),
)
def test_a_small_call_gives_back_the_dispatch_that_it_had(
    size: float, seconds: float, node: str, result: float
) -> None:
    now, call = known(), calls(size)
    true = now.changed({node: NodeChange(dispatch=Value(seconds))})
    said = attribute(call, RAW, node, went(call, node, true, result=result if result > 2e5 else 100.0), now)
    if said is None:  # the round trips to the cloud are no surer than this
        assert node == CLOUD
        assert seconds < 0.01
    else:
        assert said == Dispatch(node, pytest.approx(seconds), 1.0)


@given(size=st.floats(2e6, 1e8), packed=st.sampled_from((1.0, 0.8)))
def test_a_large_call_gives_back_the_rate_that_was_known(size: float, packed: float) -> None:
    now, call, codec = known(), calls(size), Codec("z", packed)
    said = attribute(call, codec, CLOUD, went(call, CLOUD, now, codec), now)
    assert isinstance(said, Transfer)
    assert (said.source, said.target, said.limited) == (CAM, CLOUD, False)
    assert said.size == pytest.approx(size * packed)
    after = learned(now, said)
    assert rate(after) == pytest.approx(rate(now), rel=1e-3)


@given(size=st.floats(2e4, 1e7), before=st.floats(5e4, 5e6), factor=st.floats(0.02, 0.5) | st.floats(2.0, 50.0))
def test_a_step_of_the_link_is_in_effect_after_one_call(size: float, before: float, factor: float) -> None:
    """The next such call is predicted right, wherever the step had made a difference worth speaking of."""
    now, call = with_rate(known(), before), calls(size)
    true = with_rate(now, before * factor)
    old, seen = (went(call, CLOUD, state).total - COMPUTE for state in (now, true))
    after = learned(now, attribute(call, RAW, CLOUD, went(call, CLOUD, true), now))
    new = went(call, CLOUD, after).total - COMPUTE
    if seen > 1.5 * old or seen < old / 2.5:
        assert new == pytest.approx(seen, rel=0.35)
    assert abs(new - seen) <= abs(old - seen) * 1.01 + 0.01


def test_a_slow_start_of_a_process_is_not_blamed_on_a_link_that_had_little_to_do() -> None:
    now = known()
    for size in (0.0, 1e4):
        said = attribute(calls(size), RAW, GATEWAY, went(calls(size), GATEWAY, now, extra=1.5), now)
        assert isinstance(said, Dispatch)
        assert learned(now, said) is now  # patient: one such call is no level


def test_a_result_that_is_fetched_later_is_not_explained() -> None:
    now, call = known(), calls(0.0)
    small, large = (attribute(call, RAW, GATEWAY, went(call, GATEWAY, now, result=size), now) for size in (100.0, 5e7))
    assert isinstance(small, Dispatch)
    assert isinstance(large, Dispatch)
    assert large.seconds == pytest.approx(small.seconds, rel=0.01)


def test_a_result_that_rides_in_the_answer_tells_of_the_way_back() -> None:
    now = with_rate(known(), 5e4, "region-1->plant-1")
    call = calls(0.0)
    said = attribute(call, RAW, CLOUD, went(call, CLOUD, now, result=1e5), now)
    assert isinstance(said, Transfer)
    assert (said.source, said.target) == (CLOUD, CAM)
    assert rate(learned(now, said), "region-1->plant-1") == pytest.approx(5e4, rel=0.01)


def test_inputs_elsewhere_tell_of_the_path_from_there() -> None:
    now = known()
    call = Call((Variant("f"),), CAM, (Input(CLOUD, 5e6), Input(CAM, 1e3)))
    said = attribute(call, RAW, GATEWAY, went(call, GATEWAY, now), now)
    assert isinstance(said, Transfer)
    assert (said.source, said.target) == (CLOUD, GATEWAY)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(1.0, 0.1, 0.0, 0.0, crowded=True),
        Outcome(1.0, 1.5, 0.0, 0.0),
        Outcome(1.0, -1.0, 0.0, 0.0),
        Outcome(math.nan, 0.1, 0.0, 0.0),
        Outcome(math.inf, 0.1, 0.0, 0.0),
        Outcome(0.0501, 0.05, 0.0, 0.0),
    ],
    ids=["crowded", "longer inside than outside", "negative", "no number", "never", "sooner than light"],
)
def test_what_makes_no_sense_says_nothing(outcome: Outcome) -> None:
    for size in (0.0, 1e6):
        assert attribute(calls(size), RAW, CLOUD, outcome, known()) is None
    with pytest.raises(KeyError):
        attribute(calls(0.0), RAW, "cam-9", replace(outcome, crowded=False, total=1.0, compute=0.0), known())


@given(
    size=sizes, node=st.sampled_from((CAM, GATEWAY, CLOUD)), total=st.floats(0.051, 20.0), longer=st.floats(1.0, 20.0)
)
def test_a_call_that_took_longer_never_gives_a_faster_rate(size: float, node: str, total: float, longer: float) -> None:
    now, call = known(), calls(size)
    outcome = Outcome(total, COMPUTE, 100.0, 1.0)
    first, second = (
        attribute(call, RAW, node, replace(outcome, total=seconds), now) for seconds in (total, total * longer)
    )
    if isinstance(first, Transfer) and isinstance(second, Transfer):
        assert second.size / second.seconds <= first.size / first.seconds * (1 + 1e-9)
        assert first.limited >= second.limited
    if isinstance(first, Dispatch) and isinstance(second, Dispatch):
        assert second.seconds >= first.seconds


def test_what_was_only_declared_gives_way_to_the_first_calls() -> None:
    now = Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))
    true = with_rate(known(), 5e5).changed({CLOUD: NodeChange(dispatch=Value(0.03))})
    watched = Watched()
    for number in range(12):
        call = calls(3e6 if number % 2 else 0.0, GATEWAY)
        said = attribute(call, RAW, CLOUD, went(call, CLOUD, true), now)
        if isinstance(said, Transfer):
            watched, now = watched.transferred(said, now)
        elif said:
            watched, now = watched.dispatched(said.node, said.seconds, float(number), now)
    assert rate(now) == pytest.approx(5e5, rel=0.05)
    assert now.dispatch.at(now.fixed.nodes[CLOUD]).value == pytest.approx(0.03, rel=0.3)
    assert now.dispatch.at(now.fixed.nodes[CLOUD]).source is Source.MEASURED
