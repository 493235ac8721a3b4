"""The journal: bounded, readable at any moment, and not put off by what a crash left behind."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from tierflow.planning.account import CallRecord, Observed
from tierflow.runtime.journal import Journal


def line(number: int) -> str:
    return CallRecord(
        f"{number:06}", "any/f", "cam-1", 1.76e9 + number, "gw-1", observed=Observed("gw-1", 0.1, 0.05, 8.0)
    ).line()


def calls(journal: Journal, count: int, call: str = "") -> list[int]:
    return [int(explanation.call) for explanation in journal.last(count, call)]


def test_the_last_calls_come_oldest_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls.jsonl")
    assert journal.last(3) == ()
    journal.append([])
    assert list(tmp_path.iterdir()) == []
    journal.append(map(line, range(5)))
    journal.append([line(5)])
    assert calls(journal, 3) == [3, 4, 5]
    assert calls(journal, 99) == list(range(6))
    assert calls(journal, 3, call="000002") == [2]
    assert stat.S_IMODE((tmp_path / "calls.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "left", [b'{"call":"000009","func', b"\xff\xfe\x00", b'{"call":9}', b"[1]", b'{"call":"000009","what":1}']
)
def test_a_torn_or_foreign_line_is_passed_over_and_the_next_one_is_whole(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "calls.jsonl"
    journal = Journal(path)
    journal.append([line(1)])
    with path.open("ab") as file:
        file.write(left)
    assert calls(journal, 5) == [1]
    journal.append([line(2)])
    assert calls(journal, 5) == [1, 2]


def test_the_files_stay_below_their_bound_and_the_newest_calls_are_kept(tmp_path: Path) -> None:
    largest = 4 * (len(line(0)) + 1)
    journal = Journal(tmp_path / "calls.jsonl", largest)
    for number in range(23):
        journal.append([line(number)])
        kept = calls(journal, 99)
        assert kept == list(range(number + 1))[-len(kept) :]
        assert len(kept) >= min(number + 1, 4)
        sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        assert set(sizes) <= {"calls.jsonl", "calls.jsonl.1"}
        assert all(size <= largest for size in sizes.values())


def test_a_batch_that_is_larger_than_the_bound_is_written_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls.jsonl", largest=10)
    journal.append(map(line, range(3)))
    journal.append(map(line, range(3, 5)))
    assert calls(journal, 99) == [0, 1, 2, 3, 4]


def test_readers_see_whole_runs_of_calls_while_the_writer_turns_files_over(tmp_path: Path) -> None:
    journal, done = Journal(tmp_path / "calls.jsonl", largest=40 * (len(line(0)) + 1)), threading.Event()
    wrong: list[list[int]] = []
    seen: list[int] = []

    def look() -> None:
        while not done.is_set():
            kept = calls(Journal(tmp_path / "calls.jsonl"), 30)
            if kept and kept != list(range(kept[0], kept[-1] + 1)):
                wrong.append(kept)
            seen.append(len(kept))

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(0, 1500, 3):
        journal.append(map(line, range(number, number + 3)))
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert max(seen) == 30
