"""What a call costs: its parts, by hand, on the demo's nodes and links."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.demo import even_demo
from tierflow.cost import Call, Codec, Estimate, Input, Prediction, Profile, Variant, predict
from tierflow.cost.codec import RAW
from tierflow.cost.dispatch import SPREAD
from tierflow.cost.moves import MESSAGE
from tierflow.cost.transfer import GOODPUT
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, NodeChange

ROOT = Path(__file__).parents[2]
LAG = 2 * (0.003 + 0.025 + 1e-4)
CAM, CLOUD, GATEWAY = "cam-1", "cloud-1", "gw-1"


@pytest.fixture
def demo() -> Conditions:
    return even_demo()


def profile(result: float = 100.0, seconds: float = 1.0) -> Profile:
    known = Profile()
    for size in (0.0, 1e4, 1e6, 2e6):
        known = known.observed("cloud 4 CPU x0.7", 1.0, size, seconds, result)
    return known


def at(predicted: Prediction, now: Conditions, node: str) -> dict[str, Estimate]:
    index = now.fixed.nodes[node]
    names = ("compute", "transfer", "codec", "dispatch", "size", "energy", "money", "time")
    return {name: getattr(predicted, name).at(index) for name in names}


def on(now: Conditions, node: str, call: Call, codec: Codec = RAW, known: Profile | None = None) -> dict[str, Estimate]:
    return at(predict(call, codec, known or profile(), now), now, node)


def test_a_call_at_home_moves_nothing(demo: Conditions) -> None:
    call = Call((Variant("f"),), CLOUD, (Input(CLOUD, 1e6),))
    here = on(demo, CLOUD, call)
    assert (here["transfer"].value, here["size"].value, here["codec"].value) == (0, 0, 0)
    assert here["time"].value == here["compute"].value + here["dispatch"].value
    assert here["money"].value == pytest.approx(0.10 / 3600 / 4)
    assert here["energy"].value == pytest.approx(120 / 4)
    assert (here["energy"].source, here["energy"].unit) == (Source.MODELLED, "J")


def test_a_small_input_rides_in_the_message_and_a_large_one_is_fetched(demo: Conditions) -> None:
    small = on(demo, CLOUD, Call((Variant("f"),), CAM, (Input(CAM, 10_000.0),)))
    assert small["transfer"].value == pytest.approx(LAG + 10_000 / (2.5e6 * GOODPUT), rel=0.1)
    assert small["size"].value == 10_000 + 2 * MESSAGE + 100
    large = on(demo, CLOUD, Call((Variant("f"),), CAM, (Input(CAM, 2e6),)))
    windows = 4 * LAG  # 15, 29, 58, 116 kB are sent and waited for before the link is full
    sent = 14_480 * (2**4 - 1)
    assert large["transfer"].value == pytest.approx(3 * LAG + windows + (2e6 - sent) / (2.5e6 * GOODPUT), rel=0.02)


def test_an_input_in_a_store_is_fetched_however_small_it_is(demo: Conditions) -> None:
    put = on(demo, CLOUD, Call((Variant("f"),), CAM, (Input(CAM, 10_000.0, stored=True),)))
    rode = on(demo, CLOUD, Call((Variant("f"),), CAM, (Input(CAM, 10_000.0),)))
    assert put["transfer"].value - rode["transfer"].value == pytest.approx(2 * LAG, rel=0.05)


def test_a_sender_that_keeps_its_rate_waits_for_no_windows(demo: Conditions) -> None:
    keeps = demo.changed({CAM: NodeChange(window=Value(2.0**50))})
    call = Call((Variant("f"),), CAM, (Input(CAM, 2e6),))
    there = on(keeps, CLOUD, call)
    assert there["transfer"].value == pytest.approx(3 * LAG + 2e6 / (2.5e6 * GOODPUT), rel=0.02)
    assert on(keeps, CLOUD, Call((Variant("f"),), GATEWAY, (Input(GATEWAY, 2e6),))) == on(
        demo, CLOUD, Call((Variant("f"),), GATEWAY, (Input(GATEWAY, 2e6),))
    )


def test_more_trips_take_more_round_trips(demo: Conditions) -> None:
    once, twice = (on(demo, CLOUD, Call((Variant("f"),), CAM, trips=trips)) for trips in (1, 2))
    assert twice["transfer"].value - once["transfer"].value == pytest.approx(LAG, rel=0.05)


def test_an_input_elsewhere_is_asked_for_at_its_owner_and_costs_no_bytes_there(demo: Conditions) -> None:
    call = Call((Variant("f"),), CAM, (Input(CLOUD, 2e6),))
    there = on(demo, CLOUD, call)
    assert there["size"].value == 2 * MESSAGE + 100
    gateway = on(demo, GATEWAY, call)
    assert gateway["size"].value == 2e6 + 2 * MESSAGE + 100
    assert gateway["money"].value == pytest.approx(2e6 * 9e-11)


def test_a_large_result_is_fetched_and_one_that_stays_is_not(demo: Conditions) -> None:
    known = profile(result=2e6)
    home = on(demo, CLOUD, Call((Variant("f"),), CAM), known=known)
    stays = on(demo, CLOUD, Call((Variant("f"),), CAM, result_at=CLOUD), known=known)
    assert home["size"].value == 2e6 + 2 * MESSAGE
    assert home["money"].value > 2e6 * 9e-11
    assert stays["size"].value == 2 * MESSAGE
    assert stays["transfer"].value < home["transfer"].value / 5


def test_a_codec_trades_bytes_for_time_at_both_ends(demo: Conditions) -> None:
    call = Call((Variant("f"),), CAM, (Input(CAM, 2e6),))
    raw, packed = on(demo, CLOUD, call), on(demo, CLOUD, call, Codec("zstd", 0.25, 1e8, 4e8))
    assert packed["codec"].value == pytest.approx(2e6 / 1e8 + 2e6 / 4e8)
    assert raw["size"].value - packed["size"].value == pytest.approx(1.5e6)
    assert packed["transfer"].value < raw["transfer"].value
    assert on(demo, CAM, call, Codec("zstd", 0.25, 1e8, 4e8))["codec"].value == 0


def test_a_sum_is_as_good_as_its_weakest_part(demo: Conditions) -> None:
    far = on(demo, CLOUD, Call((Variant("f"),), CAM))
    assert far["compute"].source is Source.LEARNED
    assert far["time"].source is far["transfer"].source is Source.DECLARED
    parts = [far[name].deviation for name in ("compute", "transfer", "codec", "dispatch")]
    assert far["time"].deviation == pytest.approx(sum(part**2 for part in parts) ** 0.5)


def test_a_node_takes_its_time_for_the_call_itself(demo: Conditions) -> None:
    call = Call((Variant("f"),), CAM)
    before = on(demo, CLOUD, call)
    assert before["dispatch"] == Estimate(0.002, pytest.approx(0.002 * math.hypot(1, SPREAD)), "s", Source.DECLARED)
    slow = demo.changed({CLOUD: NodeChange(dispatch=Value(0.03, 0.01))})
    after = on(slow, CLOUD, call)
    assert after["dispatch"] == Estimate(0.03, pytest.approx(math.hypot(0.01, 0.03 * SPREAD)), "s", Source.MEASURED)
    assert after["time"].value - before["time"].value == pytest.approx(0.028)
    assert on(slow, GATEWAY, call) == on(demo, GATEWAY, call)


def test_who_is_not_there_is_not_guessed(demo: Conditions) -> None:
    with pytest.raises(KeyError):
        predict(Call((Variant("f"),), "cam-9"), RAW, Profile(), demo)
