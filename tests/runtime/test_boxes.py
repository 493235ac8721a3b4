"""The actors that keep a node's boxes outlast a disk that cannot be used when they start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tierflow.errors import StoreError
from tierflow.runtime.durable.inbox import Batch
from tierflow.runtime.publishing import Publisher
from tierflow.runtime.receiving import Receiver
from tierflow.runtime.settings import NODE_FOLDER


def test_an_inbox_and_a_publisher_are_there_as_soon_as_their_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cloud-1"
    folder.write_text("a folder that is not there")
    monkeypatch.setenv(NODE_FOLDER, str(folder))
    receiver, publisher = Receiver("alarms", "cloud-1", encrypt=False), Publisher("model", "cloud-1")
    assert receiver.node() == "cloud-1"
    with pytest.raises(StoreError):
        receiver.take(Batch("cam-1", "birth", 0, 0, ()))
    with pytest.raises(StoreError):
        asyncio.run(publisher.publish(b"model"))
    folder.unlink()
    receiver.take(Batch("cam-1", "birth", 0, 0, ()))
    assert asyncio.run(publisher.publish(b"model")) == 1
