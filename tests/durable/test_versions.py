"""Versions on disk: they only rise, what is damaged is found, and of two versions only what differs is moved."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tierflow.errors import StoreError
from tierflow.exchange import freeze
from tierflow.runtime.durable.chunks import LARGEST, SMALLEST, chunks
from tierflow.runtime.durable.versions import Manifest, VersionStore


def moved(source: VersionStore, target: VersionStore) -> int:
    """Bytes that a follower fetches to have the newest version."""
    newest = source.newest()
    assert newest is not None
    missing = target.missing(newest)
    for (digest, _), part in zip(missing, source.chunks([digest for digest, _ in missing]), strict=True):
        assert part is not None
        assert target.add(digest, part)
    assert target.take(newest)
    return sum(size for _, size in missing)


@given(st.binary(max_size=200), st.integers(0, 40), st.integers(0, 10**6))
def test_chunks_together_are_what_was_cut(part: bytes, times: int, seed: int) -> None:
    data = (part + random.Random(seed).randbytes(5000)) * times + part
    found = list(chunks(data))
    assert b"".join(found) == data
    assert all(SMALLEST <= len(chunk) <= LARGEST for chunk in found[:-1])


def test_words_put_in_at_the_front_leave_most_chunks_as_they_were() -> None:
    data = random.Random(1).randbytes(20_000_000)
    before = set(chunks(data))
    after = list(chunks(b"8 bytes." * 3 + data))
    assert sum(len(chunk) for chunk in after if chunk not in before) < 300_000
    assert 40_000 < len(data) / len(before) < 120_000


def test_one_changed_tensor_of_twenty_moves_alone(tmp_path: Path) -> None:
    source, target = VersionStore(tmp_path / "source"), VersionStore(tmp_path / "target")
    torch.manual_seed(0)
    state = {f"layer{number}.weight": torch.randn(256, 256) for number in range(20)}
    source.publish(freeze(state))
    whole = moved(source, target)
    state["layer7.weight"] += 1
    source.publish(freeze(state))
    part = moved(source, target)
    print(f"{whole} bytes, then {part}")
    assert part < 0.1 * whole
    assert target.read() == (2, freeze(state))
    assert {path.name for path in (tmp_path / "target" / "chunks").iterdir()} == dict(source.newest().chunks).keys()  # type: ignore[union-attr]


def test_the_same_again_is_the_same_version(tmp_path: Path) -> None:
    store = VersionStore(tmp_path / "store")
    assert store.read() == (0, b"")
    assert store.publish(b"one").version == 1
    assert store.publish(b"one").version == 1
    assert store.publish(b"two").version == 2
    assert VersionStore(tmp_path / "store").read() == (2, b"two")


@given(st.lists(st.tuples(st.sampled_from(["publish", "take", "again", "old"]), st.integers(0, 10**6)), max_size=30))
def test_a_follower_never_goes_back(steps: list[tuple[str, int]]) -> None:
    place = Path(f"/tmp/tf-versions-{os.getpid()}")
    shutil.rmtree(place, ignore_errors=True)
    try:
        source, target = VersionStore(place / "source"), VersionStore(place / "target")
        seen: list[Manifest] = []
        held = 0
        for what, number in steps:
            if what == "publish":
                seen.append(source.publish(str(number).encode()))
            elif what == "take" and seen:
                moved(source, target)
            elif what == "again":
                target = VersionStore(place / "target")
            elif seen:
                target.take(seen[number % len(seen)])
            version = target.read()[0]
            assert version >= held
            held = version
        assert held <= len(seen)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_a_publisher_that_was_put_back_in_time_goes_on_above_what_followers_hold(tmp_path: Path) -> None:
    source, target = VersionStore(tmp_path / "source"), VersionStore(tmp_path / "target")
    for number in range(12):
        source.publish(str(number).encode())
    moved(source, target)
    source = VersionStore(tmp_path / "other")
    assert source.publish(b"new life").version == 1
    assert not target.take(source.newest())  # type: ignore[arg-type]
    source.raise_floor(target.floor())
    assert source.read() == (1, b"new life")
    assert source.publish(b"newer").version == 13
    moved(source, target)
    assert target.read() == (13, b"newer")


def test_a_damaged_chunk_is_never_read_and_is_fetched_again(tmp_path: Path) -> None:
    source, target = VersionStore(tmp_path / "source"), VersionStore(tmp_path / "target")
    data = random.Random(2).randbytes(1_000_000)
    source.publish(data)
    moved(source, target)
    rng = random.Random(3)
    for _ in range(20):
        file = rng.choice(list((tmp_path / "target" / "chunks").iterdir()))
        hurt = bytearray(file.read_bytes())
        hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
        file.write_bytes(hurt)
        with pytest.raises(StoreError, match="the newest version of 'target' is not whole"):
            target.read()
        assert target.missing(source.newest()) == [(file.name, len(hurt))]  # type: ignore[arg-type]
        assert 0 < moved(source, target) <= len(hurt)
        assert target.read() == (1, data)
    assert not target.add("0" * 32, b"not what it says")


def test_a_damaged_list_of_chunks_is_no_version_and_counts_all_the_same(tmp_path: Path) -> None:
    store = VersionStore(tmp_path / "store")
    store.publish(b"one")
    text = (tmp_path / "store" / "1.version").read_text()
    (tmp_path / "store" / "1.version").write_text(text.replace("1", "2"))
    assert store.read() == (0, b"")
    assert store.publish(b"one").version == 2


WRITER = """
import sys
from pathlib import Path
import numpy as np
from tierflow.runtime.durable.versions import VersionStore
store = VersionStore(Path(sys.argv[1]))
rng = np.random.default_rng(0)
while True:
    print(store.publish(rng.bytes(300_000)).version, flush=True)
"""


def test_what_was_published_outlives_a_kill_at_any_moment(tmp_path: Path) -> None:
    rng = random.Random(4)
    last = 0
    for _ in range(5):
        argv = [sys.executable, "-c", WRITER, str(tmp_path / "store")]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            last = int(writer.stdout.readline())
            time.sleep(rng.uniform(0, 0.1))
            writer.kill()
            last = max([last, *map(int, writer.stdout.read().split())])
        version, data = VersionStore(tmp_path / "store").read()
        assert version in (last, last + 1)
        assert len(data) == 300_000


def test_a_full_disk_leaves_the_version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = VersionStore(tmp_path / "store")
    store.publish(b"one")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tierflow.runtime.durable.versions.write_whole", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.publish(np.arange(10).tobytes())
    assert store.read() == (1, b"one")


def test_a_reader_never_finds_nothing_nor_goes_back_while_versions_follow_one_another(tmp_path: Path) -> None:
    """Between its look at what is there and its reading that may have given way to the next."""
    store = VersionStore(tmp_path / "model")
    store.publish(b"0")
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        reader = VersionStore(tmp_path / "model")
        while not done.is_set():
            newest = reader.newest()
            seen.append(newest.version if newest is not None else 0)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(300):
        store.publish(str(number).encode())
    done.set()
    thread.join()
    assert seen == sorted(seen)
    assert min(seen) > 0
