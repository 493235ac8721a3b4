"""Transfers: the formula against a stream that is followed round by round, its inverse, and what grows with what."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.cost.transfer import FIRST_WINDOW, GOODPUT, SEGMENT, rate_of, send_time, way
from tierflow.topology import Topology, load, parse
from tierflow.topology.column import Value
from tierflow.topology.conditions import Conditions, LinkChange

ROOT = Path(__file__).parents[2]
sizes, rates, trips = st.floats(1.0, 1e9), st.floats(1e3, 1e9), st.floats(0.0, 2.0)


def one_link(rate: float, delay: float = 0.0, loss: float = 0.0) -> Conditions:
    """Two nodes of which the first has a link of these values to the other's site; the rest is next to nothing."""
    spec = parse(
        "name: x\nhosts: rig\nnodes:\n  - {name: a, tier: device, site: s}\n  - {name: b, tier: cloud, site: t}\n"
        "links:\n  - {from: s, to: t, rate: 1 Mbit/s, delay: 1 ms}\n"
    )
    now = Conditions.of(Topology.of(spec))
    fast = LinkChange(rate=Value(1e15), delay=Value(0.0))
    links = {name: fast for name in now.fixed.links}
    return now.changed(links=links | {"s->t": LinkChange(Value(rate, rate / 10), Value(delay), Value(loss))})


def predicted(size: float, rate: float, round_trip: float, loss: float = 0.0) -> float:
    now = one_link(rate, loss=loss)
    out = way(now, "a")
    return float(send_time(size, out, np.full(2, round_trip)).value[now.fixed.nodes["b"]])


def followed(size: float, rate: float, round_trip: float) -> float:
    """A sender that waits for a window's acknowledgements and then sends twice as much, until it fills the link."""
    window, sent, time = FIRST_WINDOW, 0.0, 0.0
    while window < rate * round_trip and sent + window < size:
        sent, time, window = sent + window, time + round_trip, window * 2
    return time + (size - sent) / rate


@given(size=sizes, rate=rates, round_trip=trips)
def test_a_transfer_takes_as_long_as_a_stream_that_is_followed(size: float, rate: float, round_trip: float) -> None:
    assert predicted(size, rate, round_trip) == pytest.approx(followed(size, rate, round_trip), rel=1e-6, abs=1e-9)


@given(size=sizes, rate=rates, round_trip=trips)
def test_the_rate_that_is_read_off_a_transfer_is_the_rate_it_had(size: float, rate: float, round_trip: float) -> None:
    read = rate_of(size, followed(size, rate, round_trip), round_trip)
    if read is None:
        waited = round_trip * math.log2(max(rate * round_trip / FIRST_WINDOW, 1.0) + 1.0)
        assert size < 4 * rate * round_trip + FIRST_WINDOW or waited > 0.3 * followed(size, rate, round_trip)
    else:
        assert read == pytest.approx(rate, rel=1e-3)


@given(size=sizes, rate=rates, round_trip=trips, loss=st.floats(0.0, 0.5), factor=st.floats(1.0, 10.0))
def test_a_better_path_never_takes_longer(
    size: float, rate: float, round_trip: float, loss: float, factor: float
) -> None:
    worst = predicted(size, rate, round_trip, loss)
    for better in (
        predicted(size, rate * factor, round_trip, loss),
        predicted(size, rate, round_trip / factor, loss),
        predicted(size, rate, round_trip, loss / factor),
        predicted(size / factor, rate, round_trip, loss),
    ):
        assert better <= worst * (1 + 1e-9)


def test_a_path_adds_its_delays_and_is_as_fast_as_its_slowest_link() -> None:
    now = Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))
    out, cloud, here = way(now, "cam-1"), now.fixed.nodes["cloud-1"], now.fixed.nodes["cam-1"]
    assert out.delay[cloud] == pytest.approx(0.003 + 0.025 + 1e-4)
    assert out.rate[cloud] == pytest.approx(2.5e6 * GOODPUT)
    assert (out.delay[here], out.apart[here], out.open[here]) == (0, False, True)
    assert math.isinf(out.rate[here])
    assert send_time(1e6, out, out.delay).at(here).value == 0
    back = way(now, "cam-1", inward=True)
    assert back.price[cloud] == pytest.approx(9e-11)
    assert out.price[cloud] == 0
    first = SEGMENT / (6.25e6 * GOODPUT) + SEGMENT / (125e6 * GOODPUT)
    time = send_time(1000.0, out, np.zeros(5)).value[cloud]
    assert time == pytest.approx(1000 / (2.5e6 * GOODPUT) + first * 1000 / SEGMENT)


def test_a_cut_link_closes_the_paths_over_it() -> None:
    now = Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))
    cut = now.changed(links={"plant-1->region-1": LinkChange(up=False)})
    names = list(cut.fixed.nodes)
    assert [name for name, usable in zip(names, way(cut, "cam-1").open, strict=True) if not usable] == ["cloud-1"]
    assert way(cut, "cam-1", inward=True).open.all()
    assert way(now, "cam-1").open.all()


def test_the_doubt_of_the_slowest_link_counts_most() -> None:
    now = one_link(1e5)
    seen = send_time(1e6, way(now, "a"), np.zeros(2)).at(now.fixed.nodes["b"])
    assert seen.value == pytest.approx(10.0)
    assert seen.deviation == pytest.approx(1.0, rel=1e-3)
