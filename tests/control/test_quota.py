"""What leaves a full outbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.control.quota import POLICIES, WhenFull, victims

ROWS = [(seq, priority, 10) for seq, priority in enumerate([0, 2, 0, 1, 0, 2, 0, 0], 1)]


@pytest.mark.parametrize(
    ("when_full", "priority", "gone"),
    [
        ("oldest", 0, (1, 2, 3)),
        ("lowest priority", 0, (1, 3, 5)),
        ("sampled down", 0, (1, 3, 2)),
        ("refuse", 0, None),
    ],
)
def test_each_policy_drops_what_it_says(when_full: WhenFull, priority: int, gone: tuple[int, ...] | None) -> None:
    assert victims(when_full, ROWS, 30, 0, priority) == gone


def test_what_is_more_urgent_than_the_new_record_stays() -> None:
    assert victims("lowest priority", ROWS, 60, 0, 1) == (1, 3, 5, 7, 8, 4)
    assert victims("lowest priority", ROWS, 70, 0, 1) is None


def test_sampling_down_again_and_again_leaves_an_even_history_that_is_thinner_the_older_it_is() -> None:
    rows = [(seq, 0, 1) for seq in range(64)]
    gone = victims("sampled down", rows, 32, 0, 0)
    assert gone is not None
    left = [seq for seq, _, _ in rows if seq not in gone]
    assert left[-16:] == list(range(48, 64))
    gaps = [after - before for before, after in zip(left, left[1:], strict=False)]
    assert sorted(gaps, reverse=True) == gaps


rows = st.lists(st.tuples(st.integers(-2, 2), st.integers(1, 50))).map(
    lambda drawn: [(seq, priority, size) for seq, (priority, size) in enumerate(drawn, 1)]
)


@given(rows, st.sampled_from(POLICIES), st.integers(1, 200), st.integers(0, 20), st.integers(-2, 2))
def test_enough_is_dropped_and_nothing_that_was_not_needed(
    waiting: list[tuple[int, int, int]], when_full: WhenFull, need: int, spare: int, priority: int
) -> None:
    sizes = {seq: size for seq, _, size in waiting}
    gone = victims(when_full, waiting, need, spare, priority)
    if gone is None:
        may = [size for _, own, size in waiting if when_full != "lowest priority" or own <= priority]
        assert when_full == "refuse" or sum(may) < need
        return
    assert len(set(gone)) == len(gone)
    assert sum(sizes[seq] for seq in gone) >= need
    assert sum(sizes[seq] for seq in gone[:-1]) < need + spare
