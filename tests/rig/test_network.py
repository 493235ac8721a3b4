from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.rig.network import Network
from tierflow.rig.shaping import INFINITY, Line, Shape


def arrivals(network: Network[str]) -> list[tuple[float, str]]:
    """Run until nothing is under way; every packet with the time it arrived."""
    found = []
    while (at := network.next_event()) < INFINITY:
        found += [(at, item) for item in network.run(at)]
    return found


def test_a_packet_takes_the_time_of_every_line_on_its_path() -> None:
    network: Network[str] = Network([Line(Shape(rate=1000.0, delay=0.2)), Line(Shape()), Line(Shape(500.0, 0.3))])
    network.send("p", 100, (0, 1, 2), 0.0)
    assert arrivals(network) == [(pytest.approx(0.1 + 0.2 + 0.2 + 0.3), "p")]


def test_two_sources_share_the_line_they_both_use() -> None:
    network: Network[str] = Network([Line(Shape(1e6)), Line(Shape(1e6)), Line(Shape(1000.0))])
    for number in range(10):
        network.send(f"a{number}", 100, (0, 2), 0.0)
        network.send(f"b{number}", 100, (1, 2), 0.0)
    found = arrivals(network)
    assert len(found) == 20
    assert found[-1][0] == pytest.approx(2.0, rel=1e-3)
    assert {item[0] for _, item in found[:4]} == {"a", "b"}


def test_a_path_of_no_lines_or_of_unshaped_ones_delivers_at_once() -> None:
    network: Network[str] = Network([Line(Shape())])
    network.send("here", 100, (), 0.0)
    network.send("near", 100, (0,), 0.0)
    assert network.next_event() < 0.0
    assert network.run(0.0) == ["here", "near"]
    assert network.lines[0].counters.packets == 1


@given(
    st.lists(st.builds(Shape, rate=st.floats(1e3, 1e6), delay=st.floats(0, 0.1)), min_size=3, max_size=3),
    st.lists(
        st.tuples(st.floats(0, 0.05), st.integers(20, 1500), st.permutations(range(3)), st.integers(1, 3)), max_size=60
    ),
)
def test_what_arrives_does_not_depend_on_how_often_it_is_run(
    shapes: list[Shape], packets: list[tuple[float, int, list[int], int]]
) -> None:
    def carried(eager: bool) -> tuple[list[str], int]:
        network: Network[str] = Network([Line(shape) for shape in shapes])
        now, found = 0.0, []
        for number, (gap, size, order, hops) in enumerate(packets):
            now += gap
            if eager:
                found += network.run(now)
            network.send(str(number), size, tuple(order[:hops]), now)
        found += network.run(1e9)
        assert all(line.queued == 0 for line in network.lines)
        return found, sum(line.counters.dropped for line in network.lines)

    found, dropped = carried(eager=True)
    assert carried(eager=False) == (found, dropped)
    assert len(found) + dropped == len(packets)


def test_a_line_made_faster_from_outside_is_heard_at_once() -> None:
    network: Network[str] = Network([Line(Shape(rate=1.0))])
    network.send("p", 100, (0,), 0.0)
    network.lines[0].reshape(Shape(rate=1000.0), 0.0)
    network.schedule(0)
    assert arrivals(network) == [(pytest.approx(0.1), "p")]


def test_a_line_made_slower_from_outside_is_not_hurried() -> None:
    network: Network[str] = Network([Line(Shape(rate=1000.0))])
    network.send("p", 100, (0,), 0.0)
    network.lines[0].reshape(Shape(rate=100.0), 0.0)
    network.schedule(0)
    assert arrivals(network)[0][0] == pytest.approx(1.0)
