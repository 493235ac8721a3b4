"""New or not."""

from __future__ import annotations

from tierflow.control.once import is_new, is_newer


def test_a_record_is_new_above_the_floor_and_above_its_keys_mark() -> None:
    assert is_new(1, 0, None)
    assert is_new(5, 3, 4)
    assert not is_new(4, 3, 4)
    assert not is_new(3, 3, None)


def test_versions_only_rise() -> None:
    assert is_newer(1, None)
    assert is_newer(2, 1)
    assert not is_newer(1, 1)
    assert not is_newer(0, 1)
