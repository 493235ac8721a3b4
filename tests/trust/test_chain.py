from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierflow.trust import End, broken, end_of, linked

entries = st.lists(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=9), max_size=3), max_size=8)


def written(rows: list[dict[str, object]]) -> list[bytes]:
    lines: list[bytes] = []
    for row in rows:
        lines.append(linked({"what": "x", **{f"_{name}": value for name, value in row.items()}}, last(lines)))
    return lines


def last(lines: list[bytes]) -> End:
    return end_of(lines[-1]) if lines else End()


@given(entries)
def test_what_was_only_added_to_is_whole(rows: list[dict[str, object]]) -> None:
    lines = written(rows)
    assert all(b"\n" not in line for line in lines)
    assert broken(lines, [last(lines[:at]) for at in range(len(lines) + 1)]) is None


@given(entries.filter(bool), st.data())
def test_an_altered_line_shows_once_another_follows_or_it_was_seen(
    rows: list[dict[str, object]], data: st.DataObject
) -> None:
    lines = written(rows)
    seen, at = last(lines), data.draw(st.integers(0, len(lines) - 1))
    altered = [*lines[:at], lines[at].replace(b'"what": "x"', b'"what": "y"'), *lines[at + 1 :]]
    assert broken(altered, [seen]) is not None
    assert broken([*lines[:at], *lines[at + 1 :]], [seen]) is not None
    place = data.draw(st.integers(0, len(lines[at]) - 1))
    assert broken([*lines[:at], lines[at][:place], *lines[at + 1 :]], [seen]) is not None


def test_a_log_that_was_written_anew_is_another_than_the_one_that_was_seen() -> None:
    lines, other = written([{"a": 1}, {"b": 2}, {"c": 3}]), written([{"a": 1}, {"b": 9}, {"c": 3}])
    assert broken(other) is None
    assert broken(other, [last(lines[:1])]) is None
    assert broken(other, [last(lines[:2])]) == "line 2 is another than it was"
    assert broken(lines[:1], [last(lines)]) == "it was cut off: it had 3 lines, and now has 1"
    assert broken([], [last(lines)]) == "it was cut off: it had 3 lines, and now has 0"
