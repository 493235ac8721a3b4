"""The bytes that one call moves, and when.

How a call travels is Ray's way: the caller sends a message to the node and the answer comes back in one; an input or
a result of at most `INLINE` bytes that is where the message starts travels inside it, unless it was put into an object
store; all others are fetched by the node that needs them, which first asks their owner where they are. A call ends with
its answer: a result that is fetched is fetched after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tierflow.cost.call import Call, Input
from tierflow.cost.codec import Codec, codec_time
from tierflow.cost.estimate import Estimates, Floats
from tierflow.cost.transfer import FIRST_WINDOW, INLINE, Way, send_time, usable_rate, way
from tierflow.topology.conditions import Conditions

__all__ = ["EVERY", "MESSAGE", "Move", "moves"]

MESSAGE = 2048.0
"""Bytes of a call's message and of its answer beside inputs and result."""
EVERY = slice(None)
"""All nodes of a topology."""


@dataclass(frozen=True, eq=False)
class Move:
    """Bytes that go from the vertex `end` to the node that runs the call or, not `inward`, from that node to `end`.

    All columns have one entry for each node that might run the call. `size` is bytes that cross links, `lag` seconds
    of round trips before the first byte leaves, `packing` those of the codec at both ends. They go by `path`; what
    asks for them and acknowledges them goes by `back`. Their sender may have `window` bytes under way at the start.
    `later` says that the answer does not wait for them.
    """

    end: str
    inward: bool
    size: Floats
    lag: Estimates
    packing: Estimates
    path: Way
    back: Way
    window: Floats | float
    later: bool = False

    @property
    def round_trip(self) -> Floats:
        """Seconds there and back."""
        return self.path.delay + self.back.delay

    @cached_property
    def sending(self) -> Estimates:
        """Seconds from the first byte that leaves to the last that arrives, without delay."""
        return send_time(self.size, self.path, self.round_trip, self.window)

    @cached_property
    def carrying(self) -> Floats:
        """Seconds that the slowest link of the path is busy with the bytes."""
        return self.size / usable_rate(self.path, self.round_trip)


def moves(call: Call, codec: Codec, result: float, conditions: Conditions, at: slice = EVERY) -> tuple[Move, ...]:
    """Everything that a call moves if it runs on each of the nodes `at`: message, answer, inputs, result.

    `result` is the bytes that it returns. Only what is fetched is packed.

    Raises:
        KeyError: the caller or the place of an input is no vertex of the topology.
    """
    out, back = _ways(conditions, call.caller, at)
    carried = sum(item.size for item in call.inputs if _rides(item, call))
    there = np.where(out.apart, MESSAGE * call.trips + carried, 0.0)
    answer = np.where(out.apart, MESSAGE * call.trips + (result if _answers(call, result) else 0.0), 0.0)
    none = Estimates.none("s", len(there))
    return (
        Move(call.caller, True, there, _lag(out, back, call.trips), none, out, back, _window(conditions, call.caller)),
        Move(call.caller, False, answer, none, none, back, out, conditions.window.value[at]),
        *_fetches(call, codec, conditions, at),
        *_delivery(call, codec, result, conditions, at),
    )


def _rides(item: Input, call: Call) -> bool:
    """Whether an input travels inside the call's message."""
    return item.at == call.caller and item.size <= INLINE and not item.stored


def _answers(call: Call, result: float) -> bool:
    """Whether the result travels inside the answer."""
    return result <= INLINE and call.result_at in (None, call.caller)


def _fetches(call: Call, codec: Codec, conditions: Conditions, at: slice) -> Iterator[Move]:
    """One fetch from each node that holds inputs which no message carries; the caller owns them."""
    held: dict[str, float] = {}
    for item in call.inputs:
        if not _rides(item, call):
            held[item.at] = held.get(item.at, 0.0) + item.size
    for holder, size in sorted(held.items()):
        ask = _lag(*_ways(conditions, call.caller, at), 1)
        yield _fetched(holder, True, size, codec, ask, conditions, at)


def _delivery(call: Call, codec: Codec, result: float, conditions: Conditions, at: slice) -> Iterator[Move]:
    """The fetch of a result that no answer carries, by the node that needs it, which is told where it is."""
    if not _answers(call, result):
        yield _fetched(call.result_at or call.caller, False, result, codec, None, conditions, at)


def _fetched(
    end: str, inward: bool, size: float, codec: Codec, ask: Estimates | None, conditions: Conditions, at: slice
) -> Move:
    there, back = _ways(conditions, end, at)
    path, back = (there, back) if inward else (back, there)
    lag = _lag(path, back, 1) if ask is None else _lag(path, back, 1) + ask
    index = conditions.fixed.nodes.get(end)
    speed = conditions.speed.value[at]
    at_end = 1.0 if index is None else conditions.speed.value[index]
    ends = (at_end, speed) if inward else (speed, at_end)
    bytes_apart = np.where(path.apart, size, 0.0)
    return Move(
        end,
        inward,
        bytes_apart * codec.ratio,
        lag.scaled(path.apart.astype(np.float64)),
        codec_time(codec, bytes_apart, *ends),
        path,
        back,
        _window(conditions, end) if inward else conditions.window.value[at],
        later=not inward,
    )


def _window(conditions: Conditions, vertex: str) -> float:
    """Bytes that a vertex may have under way at the start; a site is no sender that anybody has looked at."""
    index = conditions.fixed.nodes.get(vertex)
    return FIRST_WINDOW if index is None else float(conditions.window.value[index])


def _ways(conditions: Conditions, vertex: str, at: slice) -> tuple[Way, Way]:
    """The paths from a vertex to the nodes `at`, and back."""
    out, back = way(conditions, vertex), way(conditions, vertex, inward=True)
    return (out, back) if at == EVERY else (out.narrowed(at), back.narrowed(at))


def _lag(out: Way, back: Way, trips: int) -> Estimates:
    """Seconds of `trips` round trips of next to no bytes."""
    variance = (out.delay_variance + back.delay_variance) * trips**2
    return Estimates.of("s", (out.delay + back.delay) * trips, variance, np.minimum(out.source, back.source))
