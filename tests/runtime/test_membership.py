from __future__ import annotations

import threading

import pytest

from tierflow.errors import FabricError
from tierflow.runtime.membership import MAX_AGE, Membership
from tierflow.testing import MockClock
from tierflow.topology import Member

EDGE = Member("gw-1", "edge", "plant-1", True, {}, {}, {}, "1", "")


class Head:
    """A head that may be on the far side of a cut: then it answers when the cut heals."""

    def __init__(self) -> None:
        self.members: tuple[Member, ...] = (EDGE,)
        self.reached = threading.Event()
        self.reached.set()
        self.questions = 0

    def __call__(self) -> tuple[Member, ...]:
        self.questions += 1
        self.reached.wait(10)
        return self.members


def test_it_asks_once_a_second() -> None:
    head, clock = Head(), MockClock()
    membership = Membership(head, lambda: clock.now)
    first = membership.latest()
    assert first.members == (EDGE,)
    assert membership.latest() is first
    clock.advance(MAX_AGE)
    second = membership.latest()
    assert (head.questions, second.version) == (2, first.version)
    head.members = ()
    clock.advance(MAX_AGE)
    assert membership.latest().version == first.version + 1


def test_a_cut_holds_nobody_up_for_long_and_asks_no_second_question() -> None:
    head, clock = Head(), MockClock()
    membership = Membership(head, lambda: clock.now)
    membership.latest()
    head.reached.clear()
    clock.advance(100)
    for _ in range(50):
        assert membership.latest().members == (EDGE,)
    assert head.questions == 2
    head.members = ()
    head.reached.set()
    assert membership.fresh().members == ()


def test_where_there_never_was_an_answer_it_says_so() -> None:
    def broken() -> tuple[Member, ...]:
        raise ConnectionError("refused")

    with pytest.raises(FabricError, match=r"does not say who its members are \(refused\)"):
        Membership(broken).latest()


def test_another_fabric_has_other_members() -> None:
    head = Head()
    membership = Membership(head)
    membership.latest()
    membership.forget()
    head.members = ()
    assert membership.latest().members == ()
