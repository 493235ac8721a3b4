"""Quantities: what is read, what is refused with which sentence, and what is written."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow import units
from tierflow.errors import UnitError

ALL = [
    units.RATE,
    units.DURATION,
    units.SIZE,
    units.SHARE,
    units.POWER,
    units.ENERGY,
    units.MONEY,
    units.PRICE_PER_BYTE,
    units.PRICE_PER_SECOND,
]


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.rate, "20 Mbit/s", 2.5e6),
        (units.rate, "20Mbps", 2.5e6),
        (units.rate, " 2.5  MB/s ", 2.5e6),
        (units.rate, "1 KiB/s", 1024.0),
        (units.rate, "1e3 kbit/s", 125e3),
        (units.rate, "8 bit/s", 1.0),
        (units.duration, "25 ms", 0.025),
        (units.duration, ".1 ms", 1e-4),
        (units.duration, "5 µs", 5e-6),
        (units.duration, "5 us", 5e-6),
        (units.duration, "2 h", 7200.0),
        (units.duration, "0", 0.0),
        (units.size, "2 GiB", 2 << 30),
        (units.size, "1.2 MB", 1_200_000),
        (units.share, "0.5 %", 0.005),
        (units.share, "100 %", 1.0),
        (units.power, "5 W", 5.0),
        (units.power, "250 mW", 0.25),
        (units.energy, "10 Wh", 36_000.0),
        (units.energy, "36 kJ", 36_000.0),
        (units.money, "0.001 $", 0.001),
        (units.price_per_byte, "0.09 $/GB", 9e-11),
        (units.price_per_second, "0.36 $/h", 1e-4),
    ],
)
def test_a_quantity_is_read_as_people_write_it(parse: Callable[[str], float], text: str, value: float) -> None:
    assert parse(text) == value


def test_a_size_is_a_whole_number_of_bytes() -> None:
    assert isinstance(units.size("1.5 kB"), int)


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (units.rate, "20 ms", "'20 ms' is not a rate; write it like '20 Mbit/s'"),
        (units.rate, "20 mbit/s", "'20 mbit/s' is not a rate; write it like '20 Mbit/s'"),
        (units.rate, "fast", "'fast' is not a rate; write it like '20 Mbit/s'"),
        (units.rate, "", "'' is not a rate; write it like '20 Mbit/s'"),
        (units.rate, "nan Mbit/s", "'nan Mbit/s' is not a rate; write it like '20 Mbit/s'"),
        (units.rate, "inf", "'inf' is not a rate; write it like '20 Mbit/s'"),
        (units.duration, "25", "'25' is not a duration with a unit; write it like '25 ms'"),
        (units.duration, "-5 ms", "'-5 ms' is not a duration of zero or more; write it like '25 ms'"),
        (units.duration, "1 ms 2", "'1 ms 2' is not a duration; write it like '25 ms'"),
        (units.duration, "٣ ms", "'٣ ms' is not a duration; write it like '25 ms'"),
        (units.size, "1e400 GB", "'1e400 GB' is not a size that can be real, it is too large; write it like '2 GiB'"),
        (units.share, "101 %", "'101 %' is not a share that can be real, it is too large; write it like '0.5 %'"),
        (units.energy, "10 W", "'10 W' is not a quantity of energy; write it like '10 Wh'"),
        (units.power, "10 Wh", "'10 Wh' is not a power; write it like '5 W'"),
        (units.price_per_byte, "0.1 $/h", "'0.1 $/h' is not a price of bytes; write it like '0.09 $/GB'"),
        (units.price_per_second, "$0.10/h", "'$0.10/h' is not a price of time; write it like '0.10 $/h'"),
    ],
)
def test_what_is_no_quantity_is_refused_with_a_sentence(
    parse: Callable[[str], float], text: str, sentence: str
) -> None:
    with pytest.raises(UnitError) as caught:
        parse(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["9" * 100_000 + " ms", "1e999999999 ms", " " * 100_000])
def test_vast_text_costs_nothing_and_is_not_repeated_in_full(text: str) -> None:
    with pytest.raises(UnitError) as caught:
        units.duration(text)
    assert len(str(caught.value)) < 150


def test_what_is_smaller_than_any_number_is_zero() -> None:
    assert units.duration("1e-999999999 ms") == 0


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (units.show_rate, 2.5e6, "20 Mbit/s"),
        (units.show_rate, 125e6, "1 Gbit/s"),
        (units.show_rate, 124_999.99, "1 Mbit/s"),
        (units.show_rate, 0.0, "0 bit/s"),
        (units.show_rate, math.inf, "inf bit/s"),
        (units.show_duration, 0.025, "25 ms"),
        (units.show_duration, 0.0281234, "28.12 ms"),
        (units.show_duration, 1e-12, "0.001 ns"),
        (units.show_duration, 1.5e-30, "1.5e-21 ns"),
        (units.show_duration, -0.025, "-25 ms"),
        (units.show_size, 2 << 30, "2 GiB"),
        (units.show_bytes, 1_200_000, "1.2 MB"),
        (units.show_bytes, 999, "999 B"),
        (units.show_share, 0.005, "0.5 %"),
        (units.show_power, 5.0, "5 W"),
        (units.show_energy, 36_000.0, "10 Wh"),
        (units.show_price_per_byte, 9e-11, "0.09 $/GB"),
        (units.show_price_per_second, 0.1 / 3600, "0.1 $/h"),
    ],
)
def test_a_quantity_is_shown_as_people_write_it(show: Callable[[float], str], value: float, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize("quantity", ALL, ids=lambda quantity: quantity.kind)
@given(part=st.floats(0.0, 1.0))
def test_what_is_shown_is_the_value_to_its_figures(quantity: units.Quantity, part: float) -> None:
    value = part * min(quantity.most, 1e12)
    assert quantity.parse(quantity.show(value, digits=6)) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("quantity", ALL, ids=lambda quantity: quantity.kind)
@given(part=st.floats(0.0, 1.0) | st.floats(0.0, 1e-12))
def test_what_is_written_is_read_back_exactly(quantity: units.Quantity, part: float) -> None:
    value = part * min(quantity.most, 1e15)
    assert quantity.parse(quantity.write(value)) == value


@pytest.mark.parametrize("quantity", ALL, ids=lambda quantity: quantity.kind)
def test_the_example_of_an_error_is_right_and_is_how_it_would_be_written(quantity: units.Quantity) -> None:
    value = quantity.parse(quantity.example)
    assert quantity.write(value) == quantity.example.replace("0.10", "0.1")


@given(text=st.text(max_size=80))
def test_any_text_is_a_rate_or_an_error(text: str) -> None:
    with suppress(UnitError):
        assert units.rate(text) >= 0


def test_the_error_carries_its_data_and_pickles() -> None:
    error = pickle.loads(pickle.dumps(UnitError("fast", "rate", "20 Mbit/s")))
    assert (error.text, error.wanted, error.example) == ("fast", "rate", "20 Mbit/s")
