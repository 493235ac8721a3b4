"""What one call would cost on each node: time in its parts, bytes, joules, dollars.

How a call travels is Ray's way: the caller sends a message to the node and the answer comes back in one; an input or
a result of at most `INLINE` bytes that is where the message starts travels inside it, all others are fetched by the
node that needs them, which first asks their owner where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierflow.cost.codec import RAW, Codec, codec_time
from tierflow.cost.energy import compute_energy, transfer_energy
from tierflow.cost.estimate import Estimates, Floats
from tierflow.cost.money import compute_money, transfer_money
from tierflow.cost.profile import Profile
from tierflow.cost.transfer import INLINE, Way, send_time, way
from tierflow.topology import Stay
from tierflow.topology.column import Source
from tierflow.topology.conditions import Conditions

__all__ = ["Call", "Input", "Prediction", "Variant", "predict"]

MESSAGE = 2048.0
"""Bytes of a call's message and of its answer beside inputs and result."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a call: the node where it is, its bytes, and what it may not leave (its device or its site)."""

    at: str
    size: float
    stay: Stay | None = None


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


@dataclass(frozen=True, eq=False, slots=True)
class Prediction:
    """What one variant of a call would cost on each node, by index; waiting for a core is not in it.

    `compute`, `transfer` and `codec` add up to the time; `size` is the bytes that leave a node. `open` is false where
    a link that the call needs is cut.
    """

    compute: Estimates
    transfer: Estimates
    codec: Estimates
    size: Estimates
    energy: Estimates
    money: Estimates
    open: NDArray[np.bool_]

    @property
    def time(self) -> Estimates:
        """Seconds from the call to its result, if no call is ahead of it."""
        return self.compute + self.transfer + self.codec


def predict(call: Call, codec: Codec, profile: Profile, conditions: Conditions) -> Prediction:
    """What the call would cost on each node of the topology, with fetched data packed by a codec.

    `profile` is what is known of the variant that runs.

    Raises:
        KeyError: the caller or the place of an input is no vertex of the topology.
    """
    fixed = conditions.fixed
    compute = profile.compute(conditions, call.size)
    result = profile.returns(call.size)
    messages = _messages(call, result.value, conditions)
    moves = [*_fetches(call, conditions), *_delivery(call, result.value, conditions)]
    moved = _moved(codec, moves, conditions)
    share = np.minimum(call.cpus / np.maximum(fixed.cpus, 1.0), 1.0)
    size, energy, money = messages.size, messages.energy, messages.money
    usable = messages.open
    for move, wire in zip(moves, moved.wire, strict=True):
        size = size + Estimates.of("B", wire, 0.0, Source.LEARNED)
        energy = energy + transfer_energy(wire, move.out.radio)
        money = money + transfer_money(wire, move.out.price)
        usable = usable & move.out.open & move.back.open
    return Prediction(
        compute,
        messages.time + moved.time,
        moved.codec,
        size,
        energy + compute_energy(compute, fixed.power, share),
        money + compute_money(compute, fixed.price, share),
        usable,
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Messages:
    """The call's own messages, there and back."""

    time: Estimates
    size: Estimates
    energy: Estimates
    money: Estimates
    open: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class _Move:
    """Bytes that are fetched on `out`, after a request on `back` and a question to their owner that takes `ask`.

    They go from the vertex `end` to the node that runs the call or, not `inward`, from that node to `end`.
    """

    size: float
    end: str
    inward: bool
    out: Way
    back: Way
    ask: Estimates


@dataclass(frozen=True, eq=False, slots=True)
class _Moved:
    """All moves: seconds of transfer and of packing, and the bytes of each that cross links."""

    time: Estimates
    codec: Estimates
    wire: list[Floats]


def _messages(call: Call, result: float, conditions: Conditions) -> _Messages:
    out, back = way(conditions, call.caller), way(conditions, call.caller, inward=True)
    carried = sum(item.size for item in call.inputs if _rides(item, call))
    there = np.where(out.apart, MESSAGE * call.trips + carried, 0.0)
    answer = np.where(out.apart, MESSAGE * call.trips + (result if _answers(call, result) else 0.0), 0.0)
    round_trip = out.delay + back.delay
    time = _lag(out, back, call.trips) + send_time(there, out, round_trip) + send_time(answer, back, round_trip)
    return _Messages(
        time,
        Estimates.of("B", there + answer, 0.0, Source.LEARNED),
        transfer_energy(there, out.radio) + transfer_energy(answer, back.radio),
        transfer_money(there, out.price) + transfer_money(answer, back.price),
        out.open & back.open,
    )


def _rides(item: Input, call: Call) -> bool:
    """Whether an input travels inside the call's message."""
    return item.at == call.caller and item.size <= INLINE


def _answers(call: Call, result: float) -> bool:
    """Whether the result travels inside the answer."""
    return result <= INLINE and call.result_at in (None, call.caller)


def _fetches(call: Call, conditions: Conditions) -> Iterable[_Move]:
    """One fetch from each node that holds inputs which no message carries; the caller owns them."""
    held: dict[str, float] = {}
    for item in call.inputs:
        if not _rides(item, call):
            held[item.at] = held.get(item.at, 0.0) + item.size
    owner = way(conditions, call.caller), way(conditions, call.caller, inward=True)
    for holder, size in sorted(held.items()):
        out, back = way(conditions, holder), way(conditions, holder, inward=True)
        yield _Move(size, holder, True, out, back, _lag(*owner, 1))


def _delivery(call: Call, result: float, conditions: Conditions) -> Iterable[_Move]:
    """The fetch of a result that no answer carries, by the node that needs it, which is told where it is."""
    if not _answers(call, result):
        needed = call.result_at or call.caller
        out, back = way(conditions, needed, inward=True), way(conditions, needed)
        yield _Move(result, needed, False, out, back, Estimates.none("s", len(out.delay)))


def _lag(out: Way, back: Way, trips: int) -> Estimates:
    """Seconds of `trips` round trips of next to no bytes."""
    variance = (out.delay_variance + back.delay_variance) * trips**2
    return Estimates.of("s", (out.delay + back.delay) * trips, variance, np.minimum(out.source, back.source))


def _moved(codec: Codec, moves: Sequence[_Move], conditions: Conditions) -> _Moved:
    """All moves under one codec. Fetches share what is slow: they are taken as one after the other."""
    count, fixed = len(conditions.topology.nodes), conditions.fixed
    time, packing, wires = Estimates.none("s", count), Estimates.none("s", count), []
    speed = conditions.speed.value
    for move in moves:
        apart = move.out.apart
        wire = np.where(apart, move.size * codec.ratio, 0.0)
        lag = (_lag(move.out, move.back, 1) + move.ask).scaled(apart.astype(np.float64))
        time = time + lag + send_time(wire, move.out, move.out.delay + move.back.delay)
        at_end = speed[fixed.nodes[move.end]] if move.end in fixed.nodes else 1.0
        ends = (at_end, speed) if move.inward else (speed, at_end)
        packing = packing + codec_time(codec, np.where(apart, move.size, 0.0), *ends)
        wires.append(wire)
    return _Moved(time, packing, wires)
