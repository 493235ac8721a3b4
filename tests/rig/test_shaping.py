from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.rig.shaping import INFINITY, Line, Shape, queue_limit

shapes = st.builds(
    Shape,
    rate=st.floats(1e3, 1e9),
    delay=st.floats(0, 2),
    jitter=st.just(0.0) | st.floats(0, 0.5),
    loss=st.just(0.0) | st.floats(0, 1),
)
offers = st.lists(st.tuples(st.floats(0, 0.2), st.integers(20, 9000)), max_size=80)
"""Packets: the time since the one before, and the size."""


def carry(line: Line[int], packets: list[tuple[float, int]]) -> tuple[list[float], list[tuple[float, int]]]:
    """Offer every packet and advance to the end: the times of offering, and the arrivals."""
    now, offered, arrived = 0.0, [], []
    for number, (gap, size) in enumerate(packets):
        now += gap
        arrived += line.advance(now)
        line.offer(size, number, now)
        offered.append(now)
    while (event := line.next_event()) < INFINITY:
        arrived += line.advance(event)
    return offered, arrived


@given(shapes, offers)
def test_packets_arrive_in_order_and_never_before_the_delay(shape: Shape, packets: list[tuple[float, int]]) -> None:
    offered, arrived = carry(Line(shape), packets)
    assert [number for _, number in arrived] == sorted({number for _, number in arrived})
    assert all(a <= b for (a, _), (b, _) in pairwise(arrived))
    for at, number in arrived:
        assert at >= offered[number] + packets[number][1] / shape.rate + shape.delay - 1e-9


@given(shapes, offers)
def test_every_packet_is_delivered_dropped_or_in_the_line(shape: Shape, packets: list[tuple[float, int]]) -> None:
    line: Line[int] = Line(shape)
    now = 0.0
    for number, (gap, size) in enumerate(packets):
        now += gap
        line.advance(now)
        line.offer(size, number, now)
        counters = line.counters
        assert counters.packets + counters.dropped + line.queued == number + 1
    line.advance(1e6)
    assert line.queued == 0
    assert line.counters.bytes <= sum(size for _, size in packets)


@given(st.floats(1e3, 1e9), st.floats(0, 1), offers)
def test_no_window_carries_more_than_the_rate(rate: float, delay: float, packets: list[tuple[float, int]]) -> None:
    _, arrived = carry(Line(Shape(rate, delay)), packets)
    for first in range(len(arrived)):
        carried = 0
        for at, number in arrived[first + 1 :]:
            carried += packets[number][1]
            assert carried <= rate * (at - arrived[first][0]) * (1 + 1e-6) + rate * 1e-9


@given(st.floats(1e4, 1e8), st.integers(100, 9000))
def test_a_busy_line_carries_its_full_rate(rate: float, size: int) -> None:
    line: Line[int] = Line(Shape(rate))
    packets = int(queue_limit(line.shape) // size)
    assert all(line.offer(size, number, 0.0) for number in range(packets))
    assert not line.offer(size, packets, 0.0)
    arrivals = line.advance(1e9)
    assert arrivals[-1][0] == pytest.approx(packets * size / rate, rel=1e-6)


def test_the_queue_holds_a_tenth_of_a_second_or_the_round_trip_and_never_less_than_64_kib() -> None:
    assert queue_limit(Shape(1e3)) == 64 * 1024
    assert queue_limit(Shape(1e7)) == 1e6
    assert queue_limit(Shape(1e7, delay=0.3)) == 6e6


def test_loss_is_the_share_asked_for_and_the_same_for_the_same_seed() -> None:
    def passed(seed: int) -> list[int]:
        _, arrived = carry(Line(Shape(rate=1e9, loss=0.2), seed), [(0.001, 100)] * 5000)
        return [number for _, number in arrived]

    assert passed(1) == passed(1) != passed(2)
    assert len(passed(1)) == pytest.approx(4000, abs=100)


def test_jitter_lies_between_the_delay_and_the_delay_plus_jitter() -> None:
    line: Line[int] = Line(Shape(delay=0.1, jitter=0.05), seed=3)
    extra = []
    for number in range(500):
        line.offer(100, number, number)
        ((at, _),) = line.advance(number + 0.9)
        extra.append(at - number - 0.1)
    assert -1e-9 <= min(extra) < 0.005
    assert 0.045 < max(extra) <= 0.05 + 1e-9
    assert sum(extra) / len(extra) == pytest.approx(0.025, abs=0.003)


def test_a_new_rate_holds_for_the_rest_of_the_packet_being_sent() -> None:
    line: Line[str] = Line(Shape(rate=100.0))
    line.offer(100, "a", 0.0)
    line.offer(100, "b", 0.0)
    line.advance(0.5)
    line.reshape(Shape(rate=1000.0), 0.5)
    assert line.advance(10.0) == [(pytest.approx(0.55), "a"), (pytest.approx(0.65), "b")]


def test_a_shorter_delay_lets_nothing_overtake() -> None:
    line: Line[str] = Line(Shape(delay=1.0))
    line.offer(100, "early", 0.0)
    line.advance(0.0)
    line.reshape(Shape(delay=0.1), 0.1)
    line.offer(100, "late", 0.1)
    assert line.advance(2.0) == [(1.0, "early"), (1.0, "late")]


def test_a_cut_drops_what_waits_and_what_flies_and_a_heal_starts_afresh() -> None:
    line: Line[str] = Line(Shape(rate=100.0, delay=5.0))
    line.offer(100, "flies", 0.0)
    line.offer(100, "is sent", 0.0)
    line.offer(100, "waits", 0.0)
    line.advance(1.5)
    line.cut()
    assert not line.offer(100, "comes in the cut", 2.0)
    assert line.next_event() == INFINITY
    assert line.counters.dropped == 4
    line.heal()
    assert line.offer(100, "after", 3.0)
    assert line.advance(20.0) == [(9.0, "after")]


def test_an_unshaped_line_passes_at_once_unless_it_is_cut() -> None:
    line: Line[str] = Line(Shape())
    assert line.passes
    line.cut()
    assert not line.passes
