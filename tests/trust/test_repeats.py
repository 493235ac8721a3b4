"""Refusals that come again are counted, and none is lost."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tierflow.trust import Held, again, due

comes = st.tuples(st.floats(0, 200), st.sampled_from("abc"), st.sampled_from(["4f", "7a"]))


def refusal(by: str, value: str) -> dict[str, object]:
    return {"what": "refusal", "by": by, "stay": "site", "value": {"id": value, "schema": "a: int"}}


@given(st.lists(comes, max_size=60))
def test_each_refusal_is_written_or_counted(moments: list[tuple[float, str, str]]) -> None:
    held: Held = {}
    written: dict[str, int] = {}
    now = 0.0
    for wait, by, value in moments:
        now += wait / 10
        entry = refusal(by, value)
        rows = [*due(held, now), *([] if again(held, entry, now) else [entry])]
        held = json.loads(json.dumps(held))
        for row in rows:
            name = f"{row['by']}{row['value']['id']}"  # type: ignore[index]
            written[name] = written.get(name, 0) + int(row.get("times", 1))  # type: ignore[call-overload]
    for row in due(held, now + 60):
        name = f"{row['by']}{row['value']['id']}"
        written[name] += row["times"]
    names = [f"{by}{value}" for _, by, value in moments]
    assert written == {name: names.count(name) for name in set(names)}


def test_so_many_different_ones_are_held_apart_and_no_more() -> None:
    held: Held = {}
    lines = sum(not again(held, refusal("a", str(number)), 0.0) for number in range(1000))
    assert lines == 64
    assert [row["times"] for row in due(held, 60.0)] == [936]
    assert not again(held, refusal("a", "999"), 60.0)


def test_a_clock_that_was_put_back_holds_nothing() -> None:
    held: Held = {}
    assert [again(held, refusal("a", "4f"), at) for at in (100.0, 101.0)] == [False, True]
    assert [row["times"] for row in due(held, 99.0)] == [1]
    assert not held
