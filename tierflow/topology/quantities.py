"""The field types of the cluster file: text with a unit in the file, a plain SI number in the model.

Code that builds a spec may give SI numbers (``LinkSpec(rate=2.5e6, ...)``); a file may not, because nobody can see
which unit a bare number has. The loader says so with the validation context `AS_WRITTEN`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo

from tierflow import units
from tierflow.errors import UnitError

__all__ = [
    "AS_WRITTEN",
    "Bytes",
    "Delay",
    "Dollars",
    "Joules",
    "Name",
    "PricePerByte",
    "PricePerSecond",
    "Rate",
    "Share",
    "Size",
    "Watts",
]

AS_WRITTEN = {"as written": True}
"""The validation context of a cluster file: a bare number is no quantity, unless it is 0."""


def _read(quantity: units.Quantity, parse: Callable[[str], float]) -> BeforeValidator:
    def read(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            return parse(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or (info.context == AS_WRITTEN and value != 0):
            raise UnitError(str(value), f"{quantity.kind} with a unit", quantity.example)
        return value

    return BeforeValidator(read)


_finite = Field(ge=0, le=1e18, allow_inf_nan=False)

Rate = Annotated[float, Field(gt=0, le=1e18, allow_inf_nan=False), _read(units.RATE, units.rate)]
"""Bytes per second, more than 0."""
Delay = Annotated[float, _finite, _read(units.DURATION, units.duration)]
"""Seconds."""
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), _read(units.SHARE, units.share)]
"""A share from 0 to below 1."""
Bytes = Annotated[int, Field(gt=0, le=10**18), _read(units.SIZE, units.size)]
"""Bytes, more than 0."""
Size = Annotated[int, Field(ge=0, le=10**18), _read(units.SIZE, units.size)]
"""Bytes, 0 or more."""
Dollars = Annotated[float, _finite, _read(units.MONEY, units.money)]
"""Dollars."""
Watts = Annotated[float, _finite, _read(units.POWER, units.power)]
"""Watts."""
Joules = Annotated[float, _finite, _read(units.ENERGY, units.energy)]
"""Joules."""
PricePerByte = Annotated[float, _finite, _read(units.PRICE_PER_BYTE, units.price_per_byte)]
"""Dollars per byte."""
PricePerSecond = Annotated[float, _finite, _read(units.PRICE_PER_SECOND, units.price_per_second)]
"""Dollars per second."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$")]
"""A name that can be a host's name and a network namespace's: 1 to 24 of a-z, 0-9 and "-"."""
