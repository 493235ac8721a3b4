"""Each rule, by the smallest history that breaks it."""

from __future__ import annotations

import pytest

from tests.chaos.checker import check
from tests.chaos.history import Answered, Applied, Called, Event, Followed, Kept, Left, Published, Refused, Tried


def put(at: float, name: str, key: str = "k", node: str = "a") -> list[Event]:
    """A record that was tried at a time and acknowledged .1 s later."""
    return [Tried(at, name, node, key, 0), Kept(at + 0.1, name)]


GOOD: list[Event] = [
    *put(1, "x"),
    *put(2, "y"),
    *put(1, "z", node="b"),
    Refused(2, "w", "OutboxFull"),
    Applied(1, "x"),
    Applied(2, "z"),
    Applied(3, "y"),
    Left("a", 0),
    Published(1, "model", 1),
    Published(2, "model", 10),
    Followed(1, "a", "model", 1),
    Followed(3, "a", "model", 10),
    Called(1, "near", True),
    Answered(2, "near"),
    Called(1, "far", False),
    Answered(2, "far", "Cut"),
]


def test_a_good_history_breaks_no_rule() -> None:
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (put(1, "x"), "lost: 1 acknowledged records of a were not applied: x"),
        ([*put(1, "x"), Applied(1, "x"), Applied(2, "x")], "twice: 1 records were applied more than once: x"),
        ([Applied(1, "x")], "made up: 1 records were applied that nobody put: x"),
        (
            [*put(1, "x"), *put(2, "y"), Applied(1, "y"), Applied(2, "x")],
            "order: of k of a, y was applied before x, which was put before it",
        ),
        ([Left("a", 3)], "waits: 3 records of a were still in its outbox at the end"),
        (
            [Followed(1, "b", "model", 10), Followed(2, "b", "model", 9)],
            "back: b went from version 10 of model to 9",
        ),
        (
            [Published(1, "model", 2), Followed(1, "b", "model", 1)],
            "behind: b ended with version 1 of model, the last published is 2",
        ),
        ([Called(1, "near", False)], "hangs: call near never ended"),
        ([Called(1, "near", False), Answered(99, "near")], "hangs: call near took 98.0 s"),
        (
            [Called(1, "near", True), Answered(2, "near", "Cut")],
            "unanswered: call near ended in Cut, though nothing stood in its way",
        ),
    ],
)
def test_each_rule_is_checked(history: list[Event], said: str) -> None:
    assert check(history) == [said]


def test_what_was_tried_and_not_acknowledged_may_be_there_or_not_but_in_its_place() -> None:
    tried = [*put(1, "x"), Tried(2, "y", "a", "k", 0)]
    assert check([*tried, Applied(1, "x")]) == []
    assert check([*tried, Applied(1, "x"), Applied(2, "y")]) == []
    (said,) = check([*tried, Applied(1, "y"), Applied(2, "x")])
    assert said.startswith("order: ")


def test_records_of_other_keys_and_those_put_at_once_come_in_any_order() -> None:
    assert check([*put(1, "x"), *put(2, "y", key="l"), Applied(1, "y"), Applied(2, "x")]) == []
    assert check([*put(1, "x"), *put(1.05, "y"), Applied(1, "y"), Applied(2, "x")]) == []


def test_what_an_outbox_says_that_it_dropped_is_not_lost_and_no_more_than_that() -> None:
    dropped = Left("a", 0, dropped=1)
    assert check([*put(1, "x"), dropped]) == []
    (said,) = check([*put(1, "x"), *put(2, "y"), dropped])
    assert said.startswith("lost: 2 ")
    assert "1 were dropped" in said
