"""A call to place: what can do the job, from where, on what, with what."""

from __future__ import annotations

from dataclasses import dataclass

from tierflow.cost.codec import RAW, Codec
from tierflow.topology import Stay

__all__ = ["Call", "Input", "Variant"]


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a call: the node where it is, its bytes, and what it may not leave (its device or its site).

    One that is `stored` lies in the node's object store: no message carries it, however small it is. `packs` are the
    codecs that make it smaller.
    """

    at: str
    size: float
    stay: Stay | None = None
    stored: bool = False
    packs: tuple[Codec, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """One function that can do the job, and how well it does (a share; 1 is the best there is)."""

    function: str
    accuracy: float = 1.0


@dataclass(frozen=True, slots=True)
class Call:
    """A call to place: the functions that can do it (the one that was called first), from where, on what, with what.

    `trips` is how often caller and node exchange messages: once where the caller has a worker there, twice where it
    must first ask for one. `codecs` are the ways in which fetched data may be packed. `result_at` is where the result
    is needed, the caller if None.
    """

    variants: tuple[Variant, ...]
    caller: str
    inputs: tuple[Input, ...] = ()
    cpus: float = 1.0
    trips: int = 1
    codecs: tuple[Codec, ...] = (RAW,)
    result_at: str | None = None

    @property
    def size(self) -> float:
        """The bytes of all inputs."""
        return sum(item.size for item in self.inputs)
