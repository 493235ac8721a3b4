"""Probes over real sockets, and the rate search against the model of a transfer that it inverts."""

from __future__ import annotations

import socket

import pytest

from tierflow.runtime import probe


def test_a_round_trip_is_the_time_of_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        took = probe.round_trip("127.0.0.1", server.getsockname()[1])
    assert took is not None
    assert 0 < took < 0.05


def test_nobody_there_is_none_and_not_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert probe.round_trip("127.0.0.1", port) is None
    assert probe.round_trip("no such host", port) is None


def test_a_payload_has_the_bytes_that_were_asked() -> None:
    batch = probe.batch(1000)
    assert batch.nbytes == 1000
    assert batch.num_rows == 1000
    assert batch != probe.batch(1000)
    batch.validate(full=True)


def link(rate: float, round_trip: float, fixed: float = 0.08) -> tuple[list[int], probe.Send]:
    """A path of that rate as TCP fills it: a window that doubles each round trip until it fills the path, and stays."""
    sizes: list[int] = []
    window = 14480.0

    def send(size: int) -> tuple[int, float]:
        nonlocal window
        sizes.append(size)
        took, left = fixed, float(size)
        while window < left and window < rate * round_trip:
            took, left, window = took + round_trip, left - window, window * 2
        return size, took + left / rate

    return sizes, send


@pytest.mark.parametrize(("rate", "round_trip"), [(125e3, 0.08), (2.5e6, 0.056), (6e6, 0.006), (1e7, 0.02)])
def test_sizes_double_until_the_rate_shows(rate: float, round_trip: float) -> None:
    sizes, send = link(rate, round_trip)
    found = probe.rate(send, round_trip)
    assert found is not None
    assert found.value == pytest.approx(rate, rel=0.1)
    sent = sorted({size for size in sizes if size > 1})
    assert sent == [probe.FIRST_SIZE * 2**n for n in range(len(sent))]


def test_a_path_too_fast_to_tell_is_none() -> None:
    sizes, send = link(1e10, 0.1)
    assert probe.rate(send, 0.1) is None
    assert max(sizes) == probe.LAST_SIZE
