"""How long bytes take over a path, and what rate a transfer that was watched had.

A transfer is a TCP stream: packets are forwarded hop by hop, so the slowest link sets the rate and each other link
adds one packet's time; the window begins small and doubles each round trip (RFC 6928, RFC 5681: also after a pause
longer than a retransmission timeout, but not with BBR, which keeps the rate that it knows); loss bounds the rate
(Mathis et al., "The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm", 1997).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tierflow.cost.energy import JOULES_PER_BYTE
from tierflow.cost.estimate import Estimates, Floats
from tierflow.topology.column import Source
from tierflow.topology.conditions import WINDOW, Conditions, Fixed

__all__ = ["FIRST_WINDOW", "INLINE", "Way", "rate_of", "send_time", "usable_rate", "way"]

INLINE = 100 * 1024
"""Bytes up to which Ray carries an argument or a result inside the call's own messages."""
SEGMENT = 1448.0
"""Bytes of data in one packet of 1,500 bytes with IPv4, TCP and timestamps."""
FIRST_WINDOW = WINDOW
"""Bytes that TCP sends before the first acknowledgement (RFC 6928)."""
GOODPUT = 0.95
"""The share of a declared rate that is left for data; measured rates are of data."""
MOST_ROUNDS = 40
MOST_WAITED = 0.4
"""The share of a transfer's time that may be waiting for acknowledgements if it is to tell the rate."""


@dataclass(frozen=True, eq=False, slots=True)
class Way:
    """The paths between one vertex and each node, in one direction.

    `delay` is the sum one way (seconds), `rate` that of the slowest link (bytes per second), `doubt` its relative
    variance, `first` the seconds per byte that all other links add for the first packet, `keep` the share of packets
    that arrive, `price` and `radio` what a byte costs in dollars and joules. `open` is false where a link of the path
    is cut or there is none, `apart` is false for the vertex itself.
    """

    delay: Floats
    delay_variance: Floats
    rate: Floats
    doubt: Floats
    first: Floats
    keep: Floats
    price: Floats
    radio: Floats
    open: NDArray[np.bool_]
    apart: NDArray[np.bool_]
    source: NDArray[np.int8]

    def narrowed(self, at: slice) -> Way:
        """The paths of some of the nodes only."""
        return Way(*(getattr(self, column.name)[at] for column in fields(self)))


def data_rates(conditions: Conditions) -> Floats:
    """Bytes of data per second that each link carries; of a declared rate the headers take a share."""
    declared = conditions.rate.source == Source.DECLARED
    rates: Floats = conditions.rate.value * np.where(declared, GOODPUT, 1.0)
    return rates


@lru_cache(maxsize=256)
def way(conditions: Conditions, vertex: str, *, inward: bool = False) -> Way:
    """The paths from a vertex (a node or a site) to each node or, `inward`, from each node to it."""
    routes = conditions.fixed.routes(vertex, inward=inward)
    price, radio = _tariff(conditions.fixed, vertex, inward)
    loss, up = conditions.loss.value, conditions.up
    rate = data_rates(conditions)
    share = conditions.rate.deviation / conditions.rate.value
    slowest = routes.least(rate)
    with np.errstate(invalid="ignore"):
        doubt = np.nan_to_num(routes.total(np.square(share / rate)) * np.square(slowest))
    source = np.minimum(conditions.rate.source, conditions.delay.source).astype(np.float64)
    return Way(
        delay=routes.total(conditions.delay.value),
        delay_variance=routes.total(np.square(conditions.delay.deviation)),
        rate=slowest,
        doubt=doubt,
        first=np.maximum(routes.total(1 / rate) - 1 / slowest, 0.0),
        keep=np.exp(routes.total(np.log1p(-loss))) if loss.any() else np.ones(len(slowest)),
        price=price,
        radio=radio,
        open=routes.reached if up.all() else routes.reached & (routes.total((~up).astype(np.float64)) == 0),
        apart=np.isfinite(slowest),
        source=np.minimum(routes.least(source), Source.LEARNED).astype(np.int8),
    )


@lru_cache(maxsize=256)
def _tariff(fixed: Fixed, vertex: str, inward: bool) -> tuple[Floats, Floats]:
    """Dollars and joules per byte on the paths between a vertex and each node, which no measurement changes."""
    routes, links = fixed.routes(vertex, inward=inward), fixed.topology.links
    price = routes.total(np.array([link.price for link in links]))
    return price, routes.total(np.array([JOULES_PER_BYTE[link.radio] for link in links]))


def send_time(size: Floats | float, out: Way, round_trip: Floats, window: Floats | float = FIRST_WINDOW) -> Estimates:
    """Seconds from the first byte that leaves to the last that arrives, without the delay; nothing for no bytes.

    Args:
        size: bytes, one number for all nodes or one for each.
        out: the paths that the bytes take.
        round_trip: seconds there and back on each path.
        window: bytes that may be under way at the start, one number or one for each path; that of a stream that has
            just sent is larger.
    """
    size = np.broadcast_to(np.asarray(size, np.float64), out.rate.shape)
    rate = usable_rate(out, round_trip)
    time = _stream_time(size, rate, round_trip, window) + np.minimum(size, SEGMENT) * out.first
    return Estimates.of("s", time, np.square(size / rate) * out.doubt, out.source)


def rate_of(size: float, seconds: float, round_trip: float, window: float = FIRST_WINDOW) -> float | None:
    """The rate of a transfer that took `seconds` from its first byte sent to its last arrived, without the delay.

    The inverse of `send_time` for a path of one link without loss. None where the window more than the link set the
    time (above `MOST_WAITED` of it): then the sender had too little to send, and what the rate was is lost in what the
    sender waited for (it was application-limited). On the recorded transfers of `benchmarks.links` this is what parts
    rates within 10 % of the truth from those that are not.
    """
    rounds, sent = 0, 0.0
    while True:
        step = window * 2.0**rounds
        left = seconds - rounds * round_trip
        if left <= 0 or size <= sent:
            return None
        rate = (size - sent) / left
        if sent + step >= size or step >= rate * round_trip:
            told = rate * round_trip <= step and rounds * round_trip <= MOST_WAITED * seconds
            return rate if told else None
        rounds, sent = rounds + 1, sent + step


def usable_rate(out: Way, round_trip: Floats) -> Floats:
    """Bytes per second that paths carry once a stream fills them: their slowest link, bounded by loss."""
    lost = 1.0 - out.keep
    with np.errstate(divide="ignore"):
        most = SEGMENT * np.sqrt(1.5) / (np.maximum(round_trip, 1e-6) * np.sqrt(lost))
    bounded: Floats = np.minimum(out.rate * out.keep, most)
    return bounded


def _stream_time(size: Floats, rate: Floats, round_trip: Floats, window: Floats | float) -> Floats:
    """The most over k of k round trips waited and then all that is left at the full rate.

    Round j sends a window of w 2^j bytes and takes the longer of a round trip and the window's own time. Those
    windows grow, so the sum over rounds is the largest of the sums that switch from the one to the other at k: a
    form that falls with the rate and rises with the size and the round trip, as it must.
    """
    rounds = np.minimum(np.ceil(np.log2(size / window + 1.0)) - 1.0, MOST_ROUNDS)
    with np.errstate(invalid="ignore", divide="ignore"):
        full = np.ceil(np.log2(np.where(np.isfinite(rate), rate * round_trip, np.inf) / window))
    waited = np.maximum(np.minimum(rounds, full), 0.0)
    sent = window * (np.exp2(waited) - 1.0)
    return np.where(size > 0, waited * round_trip + (size - sent) / rate, 0.0)
