from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.cost import IDLE, Queue, wait


def test_a_call_waits_only_when_every_slot_is_taken() -> None:
    assert wait(IDLE, 1) == 0
    assert wait(Queue(3, 9.0), 4) == 0
    assert wait(Queue(1, 2.0), 1) == 2.0
    assert wait(Queue(4, 8.0), 4) == pytest.approx(0.5)
    assert wait(Queue(7, 14.0), 4) == pytest.approx(2.0)


@given(works=st.lists(st.floats(0.001, 10.0), max_size=20), slots=st.integers(1, 8))
def test_a_queue_grows_and_shrinks_to_nothing(works: list[float], slots: int) -> None:
    queue, waits = IDLE, [0.0]
    for work in works:
        queue = queue.joined(work)
        waits.append(wait(queue, slots))
    assert queue.calls == len(works)
    assert wait(queue, slots + 1) <= wait(queue, slots)
    for work in reversed(works):
        queue = queue.left(work)
    assert queue == IDLE
