"""What a sender does next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierflow.control.outbox import (
    LEAST,
    LONGEST,
    MOST,
    Cut,
    Event,
    Failed,
    Healed,
    Look,
    Renew,
    RolledBack,
    Row,
    Send,
    Sending,
    Settle,
    Taken,
    Waiting,
    delay,
    step,
)

ROWS = tuple(Row(seq, "k", 0, 400_000) for seq in range(1, 6))


def test_a_batch_is_what_fits_and_the_next_waits_for_its_answer() -> None:
    state, actions = step(Sending(), Waiting(ROWS), 0.0)
    assert actions == (Send((1, 2), 30.0 + 80.0),)
    assert step(state, Waiting(ROWS), 1.0) == (state, ())
    state, actions = step(state, Taken(), 2.0)
    assert actions == (Settle((1, 2)), Look(2.0))


def test_a_record_larger_than_a_batch_goes_alone() -> None:
    _, actions = step(Sending(), Waiting((Row(1, "k", 0, 5 * MOST), *ROWS)), 0.0)
    assert actions == (Send((1,), 30.0 + 5 * MOST / 10_000),)


def test_after_a_failure_it_waits_longer_each_time_and_a_heal_ends_that() -> None:
    state, now, waits = Sending(), 0.0, []
    for _ in range(8):
        state, _ = step(state, Waiting(ROWS), now)
        state, actions = step(state, Failed(jitter=1.0), now)
        (look,) = actions
        assert isinstance(look, Look)
        assert step(state, Waiting(ROWS), look.at - 0.01) == (state, ())
        waits.append(look.at - now)
        now = look.at
    assert [round(wait, 3) for wait in waits] == [0.2, 0.4, 0.8, 1.6, 3.2, LONGEST, LONGEST, LONGEST]
    state, actions = step(state, Healed(), now - 1)
    assert actions == (Look(now - 1),)
    assert step(state, Waiting(ROWS), now - 1)[1] != ()
    assert delay(0, 0.0) == 0.1


def test_nothing_is_tried_over_a_cut() -> None:
    state, _ = step(Sending(), Cut(), 0.0)
    assert step(state, Waiting(ROWS), 100.0)[1] == ()
    state, _ = step(state, Healed(), 100.0)
    assert step(state, Waiting(ROWS), 100.0)[1] != ()


def test_batches_shrink_while_answers_are_late_and_grow_again() -> None:
    state = Sending()
    for _ in range(10):
        state, _ = step(state, Failed(0.5, late=True), 0.0)
    assert state.most == LEAST
    for _ in range(10):
        state, _ = step(state, Taken(), 0.0)
    assert state.most == MOST


def test_a_store_that_was_put_back_in_time_gets_a_new_birth_before_anything_is_sent_again() -> None:
    state, _ = step(Sending(), Waiting(ROWS), 0.0)
    assert step(state, RolledBack(), 1.0) == (Sending(), (Renew(), Look(1.0)))


EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Waiting(ROWS)),
    st.just(Waiting(())),
    st.builds(Failed, st.floats(0, 1), st.booleans()),
    st.just(Taken()),
    st.just(RolledBack()),
    st.just(Cut()),
    st.just(Healed()),
)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 10))))
def test_whatever_happens_one_batch_is_on_its_way_at_the_most_and_only_answered_ones_are_settled(
    history: list[tuple[Event, float]],
) -> None:
    state, now = Sending(), 0.0
    flying: tuple[int, ...] = ()
    for event, passed in history:
        if not flying and isinstance(event, Taken | Failed | RolledBack):
            continue  # there is nothing that could be answered
        now += passed
        state, actions = step(state, event, now)
        if isinstance(event, Failed | RolledBack):
            flying = ()
        for action in actions:
            if isinstance(action, Settle):
                assert isinstance(event, Taken)
                assert action.seqs == flying
                flying = ()
            if isinstance(action, Send):
                assert not flying
                flying = action.seqs
        assert state.flight == flying
