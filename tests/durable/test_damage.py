"""Whatever becomes of the files: nothing is accepted that is wrong, what is whole is kept, the rest is reported."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tierflow.runtime.durable.database import FILE
from tierflow.runtime.durable.inbox import Batch, InboxStore
from tierflow.runtime.durable.outbox import OutboxStore, Record

FLIPS = 150


def filled(folder: Path, checkpointed: bool) -> dict[int, bytes]:
    """A store as a process that was killed leaves it: all in the log, or all in the database; what is in it."""
    rng = random.Random(7)
    store = OutboxStore(folder / "live")
    put = {}
    for number in range(60):
        value = rng.randbytes(rng.choice([0, 30, 300, 3000, 30000]))
        put[store.put(value, f"k{number % 4}", number % 3)] = value
    store.settle(store.plan().birth, [3, 17, 33])
    for seq in (3, 17, 33):
        del put[seq]
    if checkpointed:
        store.close()
    shutil.copytree(folder / "live", folder / "killed")
    store.close()
    return put


def content(folder: Path) -> tuple[dict[int, bytes], int, int]:
    """What a reader gets, how many the store says were lost, and how often it was repaired."""
    store = OutboxStore(folder)
    try:
        found = {}
        while rows := store.plan().rows:
            plan = store.plan()
            found |= {record.seq: record.value for record in store.read([row.seq for row in rows])}
            store.settle(plan.birth, [row.seq for row in rows])
        backlog = store.backlog()
        return found, backlog.lost, backlog.repairs
    finally:
        store.close()


def flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def page_lost(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) // 4096) * 4096
    return data[:at] + bytes(4096) + data[at + 4096 :]


@pytest.mark.parametrize("damage", [flip, cut, page_lost])
@pytest.mark.parametrize("part", [FILE, f"{FILE}-wal"])
def test_of_a_damaged_file_all_that_is_whole_comes_back_and_nothing_else(
    tmp_path: Path, part: str, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    put = filled(tmp_path, checkpointed=part == FILE)
    whole = (tmp_path / "killed" / "1" / part).read_bytes()
    rng = random.Random(11)
    kept = []
    for _ in range(FLIPS if damage is flip else FLIPS // 5):
        shutil.copytree(tmp_path / "killed", tmp_path / "hurt")
        (tmp_path / "hurt" / "1" / part).write_bytes(damage(whole, rng))
        found, _, repairs = content(tmp_path / "hurt")
        for seq, value in found.items():
            # What was settled may come again: its receiver knows it.
            assert seq in (3, 17, 33) or put[seq] == value
        missing = put.keys() - found.keys()
        if missing and damage is not cut:
            assert repairs == 1
            assert (tmp_path / "hurt" / "1" / "damaged").exists()
        if damage is flip and part.endswith("-wal"):
            assert len(missing) <= 1
        kept.append(len(put) - len(missing))
        shutil.rmtree(tmp_path / "hurt")
    if damage is not cut:
        assert sum(kept) / len(kept) > 0.9 * len(put)


def test_a_repaired_store_goes_on_and_the_receiver_takes_nothing_twice(tmp_path: Path) -> None:
    put = filled(tmp_path, checkpointed=True)
    inbox = InboxStore(tmp_path / "inbox")
    store = OutboxStore(tmp_path / "killed")
    first = store.plan()
    some = tuple(store.read([row.seq for row in first.rows[:20]]))
    assert inbox.take(Batch("n", first.birth, first.floor, first.last, some)).applied == 20
    store.close()
    file = tmp_path / "killed" / "1" / FILE
    data = bytearray(file.read_bytes())
    data[0:64] = bytes(64)
    file.write_bytes(data)
    store = OutboxStore(tmp_path / "killed")
    assert store.backlog().repairs == 1
    fresh = store.put(b"after", "k0", 0)
    assert fresh > max(put)
    while rows := store.plan().rows:
        plan = store.plan()
        seqs = [row.seq for row in rows]
        assert not inbox.take(Batch("n", plan.birth, plan.floor, plan.last, tuple(store.read(seqs)))).rolled_back
        store.settle(plan.birth, seqs)
    seqs = [row.seq for row in inbox.read(0, 1000)]
    assert sorted(seqs) == sorted({*put, fresh})
    assert len(seqs) == len(set(seqs))


@pytest.mark.parametrize("part", [FILE, f"{FILE}-wal"])
def test_a_damaged_inbox_applies_nothing_twice_that_it_still_shows(tmp_path: Path, part: str) -> None:
    inbox = InboxStore(tmp_path / "live")
    records = tuple(Record(seq, f"k{seq % 5}", 0, bytes([seq]) * 100 * seq) for seq in range(1, 61))
    for first in range(0, 60, 6):
        inbox.take(Batch("n", "b", 0, 60, records[first : first + 6]))
    if part == FILE:
        inbox.close()
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    whole = (tmp_path / "killed" / "1" / part).read_bytes()
    rng = random.Random(3)
    for _ in range(FLIPS // 3):
        shutil.copytree(tmp_path / "killed", tmp_path / "hurt")
        (tmp_path / "hurt" / "1" / part).write_bytes(flip(whole, rng))
        hurt = InboxStore(tmp_path / "hurt")
        for first in range(0, 60, 6):
            hurt.take(Batch("n", "b", 0, 60, records[first : first + 6]))
        found = hurt.read(0, 1000)
        assert all(row.value == records[row.seq - 1].value for row in found)
        seqs = [row.seq for row in found]
        assert len(seqs) == len(set(seqs))
        missing = 60 - len(seqs)
        assert missing == 0 or hurt.facts().repairs == 1
        hurt.close()
        shutil.rmtree(tmp_path / "hurt")


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path) -> None:
    OutboxStore(tmp_path / "box").close()
    (tmp_path / "box" / "1" / FILE).write_bytes(b"nonsense" * 1000)
    store = OutboxStore(tmp_path / "box")
    assert store.backlog().repairs == 1
    assert (tmp_path / "box" / "1" / FILE).read_bytes().startswith(b"nonsense")
    assert store.put(b"x", "", 0) == 1


def test_damage_that_comes_while_it_is_open_is_never_read_as_a_record(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "box")
    for _ in range(50):
        store.put(b"x" * 2000, "k", 0)
    store.close()
    store = OutboxStore(tmp_path / "box")
    file = tmp_path / "box" / "1" / FILE
    data = bytearray(file.read_bytes())
    for at in range(8192, len(data), 4096):
        data[at + 3000] ^= 4
    file.write_bytes(data)
    found = store.read(range(1, 51))  # from what SQLite has read before, or from the disk
    assert all(record.value == b"x" * 2000 for record in found)
    store.close()
    store = OutboxStore(tmp_path / "box")
    whole = store.read(range(1, 51))
    assert all(record.value == b"x" * 2000 for record in whole)
    assert store.backlog().repairs == 1
    assert store.backlog().lost == 50 - len(whole) > 0
