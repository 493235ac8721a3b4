"""One quantity of many nodes or links: what it is, how sure that is and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierflow.errors import MeasureError

__all__ = ["Column", "Source", "Value"]

DOUBT = 0.25
"""The standard deviation of what a cluster file declares, as a share of the value: nobody has looked yet."""


class Source(IntEnum):
    """Where a number came from, the weakest first; a sum is as good as its weakest part."""

    MODELLED = 0
    DECLARED = 1
    MEASURED = 2
    LEARNED = 3


@dataclass(frozen=True, slots=True)
class Value:
    """A number in the SI unit of its column, its standard deviation in the same unit, and its source."""

    value: float
    deviation: float = 0.0
    source: Source = Source.MEASURED


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """Values, deviations, sources and versions of one quantity, by index; read-only arrays.

    `version` is that of the `Conditions` in which the value was last set; 0 is what the cluster file declares.
    """

    name: str
    value: NDArray[np.float64]
    deviation: NDArray[np.float64]
    source: NDArray[np.int8]
    version: NDArray[np.int64]

    @classmethod
    def declared(cls, name: str, values: Sequence[float], doubt: float = DOUBT) -> Column:
        """The values as a cluster file declares them, `doubt` their relative standard deviation."""
        value = np.array(values, np.float64)
        source = np.full(len(value), Source.DECLARED, np.int8)
        return cls(name, *_frozen(value, value * doubt), *_frozen(source), *_frozen(np.zeros(len(value), np.int64)))

    def at(self, index: int) -> Value:
        """The value of one node or link."""
        return Value(float(self.value[index]), float(self.deviation[index]), Source(self.source[index]))

    def with_values(self, changes: Mapping[int, Value], version: int) -> Column:
        """This column with some values changed. Where nothing changes, this column itself.

        Raises:
            MeasureError: a value that no node or link can have.
        """
        changes = {index: value for index, value in changes.items() if value != self.at(index)}
        if not changes:
            return self
        for new in changes.values():
            self._check(new)
        at = np.fromiter(changes, np.intp, len(changes))
        copies = self.value.copy(), self.deviation.copy(), self.source.copy(), self.version.copy()
        copies[0][at] = [new.value for new in changes.values()]
        copies[1][at] = [new.deviation for new in changes.values()]
        copies[2][at] = [new.source for new in changes.values()]
        copies[3][at] = version
        return Column(self.name, *_frozen(*copies))

    def _check(self, new: Value) -> None:
        below = new.value <= 0 if self.name in ("rate", "speed") else new.value < 0
        above = new.value >= 1 if self.name in ("loss", "busy") else False
        if below or above or not np.isfinite([new.value, new.deviation]).all() or new.deviation < 0:
            raise MeasureError(self.name, new.value, new.deviation)


def _frozen(*arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    for array in arrays:
        array.setflags(write=False)
    return arrays
