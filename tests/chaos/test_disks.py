from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.chaos.disks import disks, lacking


@pytest.fixture(autouse=True)
def can() -> None:
    if lacks := lacking():
        pytest.skip(f"this machine lacks {lacks}")


def test_a_loss_of_power_takes_what_was_not_confirmed_and_leaves_what_was() -> None:
    with disks(("one",)) as made:
        folder = made["one"].folder
        for name, confirmed in (("kept", True), ("lost", False)):
            with (folder / name).open("wb") as file:
                file.write(b"x" * 10_000)
                file.flush()
                if confirmed:
                    os.fsync(file.fileno())
        made["one"].lose_power()
        assert (folder / "kept").read_bytes() == b"x" * 10_000
        assert not (folder / "lost").exists() or (folder / "lost").stat().st_size == 0
        (folder / "kept").write_bytes(b"it goes on")


def test_a_full_disk_takes_nothing_until_it_has_room_again() -> None:
    with disks(("one",)) as made:
        made["one"].fill()
        with pytest.raises(OSError, match="No space left"):
            (made["one"].folder / "more").write_bytes(b"x" * 1_000_000)
        made["one"].clear()
        (made["one"].folder / "more").write_bytes(b"x" * 1_000_000)


@pytest.mark.parametrize("full", [False, True])
def test_a_loss_of_power_makes_no_disk_full_nor_gives_it_room(full: bool) -> None:
    with disks(("one",)) as made:
        disk, more = made["one"], made["one"].folder / "more"
        disk.fill()
        if not full:
            os.sync()
            disk.clear()
        disk.lose_power()
        with pytest.raises(OSError, match="No space left") if full else nullcontext():
            more.write_bytes(b"x" * 1_000_000)


def test_nothing_is_left() -> None:
    with disks(("one", "two")) as made:
        places = [disk.folder for disk in made.values()]
        assert all(place.is_mount() for place in places)
    assert not any(place.parent.exists() for place in places)
    assert not any(str(place) in Path("/proc/mounts").read_text() for place in places)
