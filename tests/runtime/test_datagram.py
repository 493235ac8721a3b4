"""Datagrams are taken once, from who holds the key, and as they were sent; all else is left alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierflow.control import Message, Peer, Report
from tierflow.runtime.datagram import ROOM, Seal, packed, unpacked

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
names = st.text(min_size=1, max_size=12)
peers = st.builds(Peer, names, st.sampled_from(["edge", "device"]), names, st.just(A))
reports = st.builds(Report, peers, st.integers(0, 2**32 - 1), st.integers(0, 2**31), st.frozensets(names, max_size=5))
messages = st.builds(
    Message, st.integers(0, 2**24 - 1), st.booleans(), st.lists(reports, max_size=4).map(tuple), st.booleans()
)


def seals(token: str = "t", other: str = "t") -> tuple[Seal, Seal]:
    return Seal(token, A), Seal(other, B)


@given(messages, st.integers(0, 2**32 - 1))
def test_what_is_sent_is_what_comes_and_comes_once(message: Message, life: int) -> None:
    sender, taker = seals()
    for datagram in sender.sealed(message, life, B):
        assert taker.opened(datagram, A) == message
        assert taker.opened(datagram, A) is None


def test_a_beat_has_twenty_bytes() -> None:
    sender, _ = seals()
    assert [len(datagram) for datagram in sender.sealed(Message(7), 1, B)] == [20]


@given(st.lists(reports, max_size=60))
def test_many_reports_come_in_pieces_that_pass_any_link(many: list[Report]) -> None:
    pieces = list(packed(many))
    assert [report for piece in pieces for report in unpacked(piece)] == many
    assert all(len(piece) <= ROOM or len(unpacked(piece)) == 1 for piece in pieces)


@given(messages, st.data())
def test_a_changed_datagram_is_not_taken(message: Message, data: st.DataObject) -> None:
    sender, taker = seals()
    datagram = next(sender.sealed(message, 1, B))
    at = data.draw(st.integers(0, len(datagram) - 1))
    changed = datagram[:at] + bytes([datagram[at] ^ data.draw(st.integers(1, 255))]) + datagram[at + 1 :]
    assert taker.opened(changed, A) is None
    assert taker.opened(datagram[:at], A) is None
    assert taker.opened(datagram, A) == message


@given(st.binary(max_size=200))
def test_garbage_does_no_harm(garbage: bytes) -> None:
    _, taker = seals()
    assert taker.opened(garbage, A) is None
    assert isinstance(unpacked(garbage), tuple)


@given(messages)
def test_another_key_another_sender_and_another_receiver_are_not_taken(message: Message) -> None:
    sender, taker = seals(other="another")
    datagram = next(sender.sealed(message, 1, B))
    assert taker.opened(datagram, A) is None
    assert Seal("t", B).opened(datagram, C) is None
    assert Seal("t", C).opened(datagram, A) is None


def test_late_ones_are_taken_once_and_those_of_an_earlier_life_never() -> None:
    sender, taker = seals()
    sent = [next(sender.sealed(Message(number), 5, B)) for number in range(100)]
    assert [taker.opened(sent[at], A) is not None for at in (0, 2, 1, 1, 99, 98, 30, 36, 36)] == [
        *(True, True, True, False, True, True, False, True, False)
    ]
    earlier = next(sender.sealed(Message(1), 4, B))
    assert taker.opened(earlier, A) is None
    assert taker.stale
    later = next(sender.sealed(Message(1), 6, B))
    assert taker.opened(later, A) is not None
    assert not taker.stale
