from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tierflow.exchange.mapping import private, region_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 1 << 16


@pytest.fixture
def store() -> Iterator[pa.Buffer]:
    """A read-only buffer in the middle of an unlinked file that is mapped shared, as the object store's is."""
    number, path = tempfile.mkstemp(prefix="plasma", dir="/dev/shm")
    os.ftruncate(number, SIZE)
    Path(path).unlink()
    memory = mmap.mmap(number, SIZE)
    memory[:] = bytes(range(256)) * (SIZE // 256)
    yield pa.py_buffer(memoryview(memory).toreadonly())[5000:50_000]
    os.close(number)


def test_a_private_view_shows_the_same_page_of_the_same_file(store: pa.Buffer) -> None:
    view = private(store)
    assert view is not None
    mine = pa.py_buffer(view.memory)[view.offset :]
    assert mine.equals(store)
    here, there = region_of(store.address), region_of(mine.address)
    assert here is not None
    assert there is not None
    assert (here.device, here.inode, here.shared, there.shared) == (there.device, there.inode, True, False)
    assert mine.address - there.start + there.offset == store.address - here.start + here.offset


def test_writing_into_a_private_view_changes_nothing_for_others(store: pa.Buffer) -> None:
    view, other = private(store), private(store)
    assert view is not None
    assert other is not None
    before = bytes(store)
    view.memory[view.offset] = 255 - before[0]
    assert bytes(store) == before
    assert other.memory[other.offset] == before[0]


def test_the_view_keeps_the_shared_object_alive(store: pa.Buffer) -> None:
    view = private(store)
    assert view is not None
    assert view.memory.source is store  # type: ignore[attr-defined]


def test_memory_that_is_not_the_stores_has_no_private_view() -> None:
    assert private(pa.py_buffer(bytes(SIZE))) is None
    assert private(pa.allocate_buffer(SIZE)) is None
    assert region_of(0) is None
