"""Quantities as people write them, and as the code holds them.

Inside tierflow every quantity is a plain number in SI units: bytes per second, seconds, bytes, a share from 0 to 1,
watts, joules, dollars, dollars per byte, dollars per second. Text with a unit exists only at the edges, and this
module is the one place that turns one into the other. Numbers are read and written through `decimal`, so that what was
written comes back as it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

from tierflow.errors import UnitError

__all__ = [
    "DECIMAL_SIZE",
    "DURATION",
    "ENERGY",
    "MONEY",
    "POWER",
    "PRICE_PER_BYTE",
    "PRICE_PER_SECOND",
    "RATE",
    "SHARE",
    "SIZE",
    "Quantity",
    "duration",
    "energy",
    "money",
    "power",
    "price_per_byte",
    "price_per_second",
    "rate",
    "share",
    "show_bytes",
    "show_duration",
    "show_energy",
    "show_money",
    "show_power",
    "show_price_per_byte",
    "show_price_per_second",
    "show_rate",
    "show_share",
    "show_size",
    "size",
]

_WRITTEN = re.compile(r"\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>\D.*?)?\s*", re.ASCII)
_EXACT = Context(prec=60, traps=[])
_LONGEST = 64
_LARGEST = 1e18
_DIGITS = 17
_TINY = Decimal("1e-6")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One kind of quantity: its name for errors, an example, what each unit is worth, and which units are shown.

    `units` maps each unit to its worth in the SI unit; `shown` are the units that text is made with, largest first;
    `base` is the unit whose worth is a power of two or one, so that any number can be written in it exactly.
    """

    kind: str
    example: str
    base: str
    units: Mapping[str, Decimal]
    shown: tuple[str, ...]
    most: float = _LARGEST

    def parse(self, text: str) -> float:
        """Read `text` into the SI unit. Raises `UnitError` for anything else than a number with a unit of this kind.

        A number without a unit says nothing, so it is refused, but for 0.
        """
        written = _WRITTEN.fullmatch(text) if len(text) <= _LONGEST else None
        if written is None:
            raise UnitError(_short(text), self.kind, self.example)
        number, unit = Decimal(written["number"]), written["unit"]
        if unit is None:
            if number == 0:
                return 0.0
            raise UnitError(text, f"{self.kind} with a unit", self.example)
        worth = self.units.get(" ".join(unit.split()))
        if worth is None:
            raise UnitError(text, self.kind, self.example)
        value = float(_EXACT.multiply(number, worth))
        if value < 0:
            raise UnitError(text, f"{self.kind} of zero or more", self.example)
        if not value <= self.most:
            raise UnitError(text, f"{self.kind} that can be real, it is too large", self.example)
        return value

    def show(self, value: float, digits: int = 4) -> str:
        """Write `value` (SI) for a reader: the largest unit that gives at least 1, rounded to `digits` figures."""
        if not math.isfinite(value):
            return f"{value} {self.base}"
        if value < 0:
            return f"-{self.show(-value, digits)}"
        if value == 0:
            return f"0 {self.base}"
        exact = Decimal(repr(value))
        for unit in self.shown:
            number = _rounded(exact / self.units[unit], digits)
            if number >= 1:
                break
        return f"{_plain(number)} {unit}"

    def write(self, value: float) -> str:
        """Write `value` (SI) for a file: the shortest text that `parse` reads back as exactly this number."""
        if value == 0:
            return f"0 {self.base}"
        texts = [text for unit in self.shown if (text := self._exactly(value, unit))]
        if not texts:
            return f"{_plain(Decimal(repr(value)) / self.units[self.base])} {self.base}"
        return min(texts, key=lambda text: (text.startswith("0."), len(text)))

    def _exactly(self, value: float, unit: str) -> str | None:
        number = _EXACT.divide(Decimal(repr(value)), self.units[unit])
        for digits in range(1, _DIGITS + 1):
            text = f"{_plain(_rounded(number, digits))} {unit}"
            if len(text) <= _LONGEST and self.parse(text) == value:
                return text
        return None


def _rounded(number: Decimal, digits: int) -> Decimal:
    return Context(prec=digits, traps=[]).plus(number)


def _plain(number: Decimal) -> str:
    if 0 < number < _TINY:
        return format(number.normalize(), "e")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:40]}..."


def _worths(**worths: str) -> dict[str, Decimal]:
    return {unit: Decimal(worth) for unit, worth in worths.items()}


_BYTES = _worths(B="1", kB="1e3", MB="1e6", GB="1e9", TB="1e12") | {
    prefix + "iB": Decimal(1 << shift) for prefix, shift in (("K", 10), ("M", 20), ("G", 30), ("T", 40))
}
_BITS = _worths(bit="0.125", kbit="125", Mbit="125e3", Gbit="125e6", Tbit="125e9")
_SECONDS = _worths(ns="1e-9", us="1e-6", ms="1e-3", s="1", min="60", h="3600", d="86400", day="86400") | {
    "µs": Decimal("1e-6")
}

RATE = Quantity(
    kind="rate",
    example="20 Mbit/s",
    base="bit/s",
    units={f"{unit}/s": worth for unit, worth in (_BITS | _BYTES).items()}
    | {f"{unit[:-2]}ps": worth for unit, worth in _BITS.items()},
    shown=("Tbit/s", "Gbit/s", "Mbit/s", "kbit/s", "bit/s"),
)
DURATION = Quantity("duration", "25 ms", "s", _SECONDS, ("h", "min", "s", "ms", "us", "ns"))
SIZE = Quantity("size", "2 GiB", "B", _BYTES, ("TiB", "GiB", "MiB", "KiB", "B"))
DECIMAL_SIZE = Quantity("size", "1.2 MB", "B", _BYTES, ("TB", "GB", "MB", "kB", "B"))
SHARE = Quantity("share", "0.5 %", "%", {"%": Decimal("0.01")}, ("%",), most=1.0)
POWER = Quantity("power", "5 W", "W", _worths(uW="1e-6", mW="1e-3", W="1", kW="1e3"), ("kW", "W", "mW", "uW"))
ENERGY = Quantity(
    kind="quantity of energy",
    example="10 Wh",
    base="J",
    units=_worths(mJ="1e-3", J="1", kJ="1e3", MJ="1e6", mWh="3.6", Wh="3600", kWh="3.6e6"),
    shown=("kWh", "Wh", "J", "mJ"),
)
MONEY = Quantity("sum of money", "0.001 $", "$", _worths(**{"$": "1"}), ("$",))
PRICE_PER_BYTE = Quantity(
    kind="price of bytes",
    example="0.09 $/GB",
    base="$/B",
    units={f"$/{unit}": 1 / worth for unit, worth in _BYTES.items()},
    shown=("$/GB",),
)
PRICE_PER_SECOND = Quantity(
    kind="price of time",
    example="0.10 $/h",
    base="$/s",
    units={f"$/{unit}": _EXACT.divide(Decimal(1), worth) for unit, worth in _SECONDS.items() if worth >= 1},
    shown=("$/h",),
)


def rate(text: str) -> float:
    """Bytes per second of "20 Mbit/s", "20 Mbps" or "2.5 MB/s". Raises `UnitError`."""
    return RATE.parse(text)


def duration(text: str) -> float:
    """Seconds of "25 ms". Raises `UnitError`."""
    return DURATION.parse(text)


def size(text: str) -> int:
    """Bytes of "2 GiB" or "1.2 MB", to the nearest whole byte. Raises `UnitError`."""
    return round(SIZE.parse(text))


def share(text: str) -> float:
    """The share, from 0 to 1, of "0.5 %". Raises `UnitError`."""
    return SHARE.parse(text)


def power(text: str) -> float:
    """Watts of "5 W". Raises `UnitError`."""
    return POWER.parse(text)


def energy(text: str) -> float:
    """Joules of "10 Wh" or "36 kJ". Raises `UnitError`."""
    return ENERGY.parse(text)


def money(text: str) -> float:
    """Dollars of "0.001 $". Raises `UnitError`."""
    return MONEY.parse(text)


def price_per_byte(text: str) -> float:
    """Dollars per byte of "0.09 $/GB". Raises `UnitError`."""
    return PRICE_PER_BYTE.parse(text)


def price_per_second(text: str) -> float:
    """Dollars per second of "0.10 $/h". Raises `UnitError`."""
    return PRICE_PER_SECOND.parse(text)


def show_rate(value: float) -> str:
    """Bytes per second as "20 Mbit/s"."""
    return RATE.show(value)


def show_duration(value: float) -> str:
    """Seconds as "25 ms"."""
    return DURATION.show(value)


def show_size(value: float) -> str:
    """A capacity in bytes in binary units, as "2 GiB"."""
    return SIZE.show(value)


def show_bytes(value: float) -> str:
    """A count of bytes in decimal units, as "1.2 MB"."""
    return DECIMAL_SIZE.show(value)


def show_share(value: float) -> str:
    """A share from 0 to 1 as "0.5 %"."""
    return SHARE.show(value)


def show_power(value: float) -> str:
    """Watts as "5 W"."""
    return POWER.show(value)


def show_energy(value: float) -> str:
    """Joules as "10 Wh"."""
    return ENERGY.show(value)


def show_money(value: float) -> str:
    """Dollars as "0.001 $"."""
    return MONEY.show(value)


def show_price_per_byte(value: float) -> str:
    """Dollars per byte as "0.09 $/GB"."""
    return PRICE_PER_BYTE.show(value)


def show_price_per_second(value: float) -> str:
    """Dollars per second as "0.1 $/h"."""
    return PRICE_PER_SECOND.show(value)
