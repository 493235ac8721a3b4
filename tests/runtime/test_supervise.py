"""Back-off between two lives of a node."""

from __future__ import annotations

from itertools import islice

from tierflow.runtime.supervise import backoff


def test_delays_double_up_to_the_longest() -> None:
    assert list(islice(backoff(), 7)) == [1, 2, 4, 8, 16, 30, 30]
