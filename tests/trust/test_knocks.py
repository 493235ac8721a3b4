"""An address knocks as often as it may."""

from __future__ import annotations

from tierflow.trust import Knocks


def test_a_burst_then_a_pace_and_each_address_for_itself() -> None:
    knocks = Knocks(burst=3, rate=0.5)
    assert [knocks.heard("a", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert knocks.heard("b", 0.0)
    assert not knocks.heard("a", 1.0)
    assert [knocks.heard("a", 3.5) for _ in range(2)] == [True, False]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    knocks = Knocks(burst=1, rate=1)
    assert knocks.heard("a", 100.0)
    assert not knocks.heard("a", 0.0)
    assert not knocks.heard("a", 0.5)


def test_it_remembers_so_many_addresses_and_no_more() -> None:
    knocks = Knocks(burst=1, rate=0, most=2)
    assert [knocks.heard(address, 0.0) for address in ("a", "b", "b", "c", "a")] == [True, True, False, True, True]
