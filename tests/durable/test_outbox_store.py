"""The store of an outbox against a plain list."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tierflow.control.quota import POLICIES, WhenFull, victims
from tierflow.errors import OutboxFull, StoreError
from tierflow.runtime.durable.inbox import Batch, InboxStore
from tierflow.runtime.durable.outbox import OVERHEAD, SPARE, OutboxStore, Record

LIMIT = 3000


class OutboxAgainstAList(RuleBasedStateMachine):
    """Puts, drops, batches that are answered or not, restarts and a receiver, beside what they must come to."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.when_full: WhenFull = "oldest"
        self.store = self.opened()
        self.inbox = InboxStore(self.folder / "inbox")
        self.waiting: list[Record] = []
        self.arrived: list[Record] = []
        self.last = self.dropped = 0
        self.batches: list[Batch] = []

    def opened(self) -> OutboxStore:
        return OutboxStore(self.folder / "box", LIMIT, self.when_full, self.folder / "key")

    @rule(size=st.integers(0, 700), key=st.sampled_from("abä"), priority=st.integers(-1, 2))
    def put(self, size: int, key: str, priority: int) -> None:
        value = bytes([self.last % 251]) * size
        sizes = {row.seq: self.size(row) for row in self.waiting}
        own = self.size(Record(0, key, priority, value))
        need = sum(sizes.values()) + own - LIMIT
        gone: tuple[int, ...] | None = ()
        if need > 0:
            rows = [(row.seq, row.priority, sizes[row.seq]) for row in self.waiting]
            gone = victims(self.when_full, rows, need, LIMIT // SPARE, priority)
        if gone is None:
            with pytest.raises(OutboxFull) as refused:
                self.store.put(value, key, priority)
            assert (refused.value.size, refused.value.held) == (own, sum(sizes.values()))
            return
        self.last += 1
        assert self.store.put(value, key, priority) == self.last
        self.dropped += len(gone)
        self.waiting = [row for row in self.waiting if row.seq not in gone]
        self.waiting.append(Record(self.last, key, priority, value))

    @staticmethod
    def size(row: Record) -> int:
        return len(row.value) + len(row.key.encode()) + OVERHEAD

    @rule(count=st.integers(1, 5), answered=st.booleans())
    def send(self, count: int, answered: bool) -> None:
        plan = self.store.plan()
        seqs = [row.seq for row in plan.rows[:count]]
        records = tuple(self.store.read(seqs))
        assert list(records) == [row for seq in seqs for row in self.waiting if row.seq == seq]
        batch = Batch("cam-1", plan.birth, plan.floor, plan.last, records)
        answer = self.inbox.take(batch)
        self.batches.append(batch)
        known = {row.seq for row in self.arrived}
        fresh = [row for row in records if row.seq not in known]
        assert (answer.applied, answer.repeated, answer.rolled_back) == (len(fresh), len(records) - len(fresh), False)
        self.arrived += fresh
        if answered:
            assert self.store.settle(plan.birth, seqs) == len(seqs)
            self.waiting = [row for row in self.waiting if row.seq not in seqs]

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def an_old_batch_comes_again(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(self.batches))
        answer = self.inbox.take(batch)
        assert answer.applied == 0

    @rule(when_full=st.sampled_from(POLICIES))
    def restart(self, when_full: WhenFull) -> None:
        self.store.close()
        self.inbox.close()
        self.when_full = when_full
        self.store, self.inbox = self.opened(), InboxStore(self.folder / "inbox")

    @invariant()
    def what_waits_is_what_was_put_and_neither_dropped_nor_answered(self) -> None:
        backlog = self.store.backlog()
        assert backlog.records == len(self.waiting)
        assert backlog.size == sum(map(self.size, self.waiting)) <= LIMIT
        assert (sum(backlog.dropped.values()), backlog.lost, backlog.repairs) == (self.dropped, 0, 0)
        rows = self.store.plan().rows
        assert sorted(row.seq for row in rows) == [row.seq for row in self.waiting]
        for key in "abä":
            seqs = [row.seq for row in rows if row.key == key]
            assert seqs == sorted(seqs)
        seen: set[int] = set()
        for row in rows:  # whatever is behind is neither more urgent nor needed by something that is
            rest = [other for other in rows if other.seq not in seen]
            urgent = max(other.priority for other in rest)
            assert any(other.priority == urgent and other.key == row.key for other in rest)
            seen.add(row.seq)

    @invariant()
    def what_arrived_is_there_once_in_order(self) -> None:
        stored = self.inbox.read(0, 10**6)
        assert [(row.seq, row.key, row.value) for row in stored] == [(r.seq, r.key, r.value) for r in self.arrived]
        assert [row.number for row in stored] == list(range(1, len(stored) + 1))
        for key in "abä":
            seqs = [row.seq for row in self.arrived if row.key == key]
            assert seqs == sorted(seqs)

    def teardown(self) -> None:
        self.store.close()
        self.inbox.close()
        shutil.rmtree(self.folder)


TestOutboxAgainstAList = OutboxAgainstAList.TestCase
TestOutboxAgainstAList.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_a_record_larger_than_the_limit_is_refused_by_every_policy(tmp_path: Path) -> None:
    for when_full in POLICIES:
        store = OutboxStore(tmp_path / when_full.replace(" ", "-"), 1000, when_full)
        store.put(b"x" * 500, "k", 0)
        with pytest.raises(OutboxFull, match=r"larger than the limit.* 629 of 1000 bytes"):
            store.put(b"x" * 1000, "k", 0)
        assert store.backlog().records == 1


def test_a_store_that_was_put_back_in_time_is_found_out_and_its_records_are_applied(tmp_path: Path) -> None:
    store, inbox = OutboxStore(tmp_path / "box", key_file=tmp_path / "key"), InboxStore(tmp_path / "in")

    def send() -> bool:
        plan = store.plan()
        records = tuple(store.read([row.seq for row in plan.rows]))
        answer = inbox.take(Batch("cam-1", plan.birth, plan.floor, plan.last, records))
        if not answer.rolled_back:
            store.settle(plan.birth, [row.seq for row in records])
        return answer.rolled_back

    store.put(b"one", "k", 0)
    assert not send()
    store.close()
    shutil.copytree(tmp_path / "box", tmp_path / "earlier")
    store = OutboxStore(tmp_path / "box")
    store.put(b"two", "k", 0)
    assert not send()
    store.close()
    shutil.rmtree(tmp_path / "box")
    shutil.copytree(tmp_path / "earlier", tmp_path / "box")
    store = OutboxStore(tmp_path / "box")
    assert send()
    store.renew()
    assert store.put(b"other two", "k", 0) == 2
    assert not send()
    assert [row.value for row in inbox.read(0, 10)] == [b"one", b"two", b"other two"]
    assert store.backlog().records == 0


def test_another_key_is_a_clear_error_and_the_right_one_opens_it_again(tmp_path: Path) -> None:
    key = tmp_path / "key"
    store = OutboxStore(tmp_path / "box", key_file=key)
    store.put(b"a secret that shows", "k", 0)
    store.close()
    assert key.stat().st_mode & 0o777 == 0o600
    assert not any(b"a secret" in path.read_bytes() for path in (tmp_path / "box").rglob("*") if path.is_file())
    right = key.read_bytes()
    key.write_bytes(bytes(32))
    with pytest.raises(StoreError, match=r"does not open this store; put back the key file"):
        OutboxStore(tmp_path / "box")
    key.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        OutboxStore(tmp_path / "box", key_file=key)
    assert not key.exists()
    key.write_bytes(right)
    key.chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        OutboxStore(tmp_path / "box")
    key.chmod(0o600)
    again = OutboxStore(tmp_path / "box")
    assert [record.value for record in again.read([1])] == [b"a secret that shows"]
    again.put(b"sealed though not asked", "k", 0)
    again.close()
    assert not any(b"not asked" in path.read_bytes() for path in (tmp_path / "box").rglob("*") if path.is_file())
