"""A store on a disk that is full: nobody can open it, and whoever tries again once there is room can."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.disks import disks
from tests.chaos.test_disks import can
from tierflow.errors import StoreError
from tierflow.runtime.durable.inbox import InboxStore
from tierflow.runtime.durable.outbox import OutboxStore

__all__ = ["can"]


def fill(file: Path) -> None:
    """Take the last byte of a disk."""
    with suppress(OSError), file.open("wb", buffering=0) as rest:
        while True:
            rest.write(bytes(512))


@pytest.mark.parametrize("kind", [InboxStore, OutboxStore])
def test_a_store_that_could_not_be_opened_can_be_opened_again(kind: type[InboxStore] | type[OutboxStore]) -> None:
    with disks(("z",)) as found, ThreadPoolExecutor(1) as aside:
        disk = found["z"]
        kind(disk.folder / "box").close()
        disk.fill()
        fill(disk.folder / "rest")
        for _ in range(2):
            with pytest.raises(StoreError, match=r"cannot be opened .*make room on its disk"):
                aside.submit(kind, disk.folder / "box").result(timeout=20)
        disk.clear()
        (disk.folder / "rest").unlink()
        aside.submit(kind, disk.folder / "box").result(timeout=20).close()
