"""What goes wrong inside is in the gateway's log, and does not fill it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from tierflow.errors import OutboxFull, StoreError
from tierflow.exchange.gateway.desk import Desk, Receipt
from tierflow.exchange.gateway.parts import Parts
from tierflow.exchange.gateway.quota import Client, Limits
from tierflow.exchange.gateway.trouble import EVERY, Trouble
from tierflow.exchange.gateway.web import app


def test_each_kind_is_logged_once_in_a_while_with_how_often_it_came(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    trouble = Trouble(lambda: now)
    full, broken = OutboxFull("readings", 10, 90, 64, "it refuses when full"), StoreError("no", "look")
    with caplog.at_level(logging.WARNING, "tierflow.gateway"):
        for _ in range(1000):
            trouble.note(full)
        trouble.note(broken)
        assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
        assert not any(record.exc_info for record in caplog.records)
        assert str(full) in caplog.messages[0]
        now += EVERY
        trouble.note(full)
        assert "999 times" in caplog.messages[2]
        now += EVERY
        trouble.note(full)
        assert "times" not in caplog.messages[3]


def test_an_error_of_ours_that_nobody_foresaw_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble()
    for name in ("one", "one", "other"):
        try:
            raise KeyError(name)
        except KeyError as error:
            trouble.note(error)
    assert len(caplog.records) == 1
    assert "KeyError" in caplog.text
    assert "test_trouble.py" in caplog.text


def test_a_full_outbox_answers_507_each_time_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def full(box: str, *_: object) -> Receipt:
        raise OutboxFull(box, 10, 90, 64, "it refuses when full")

    limits = Limits(rate=1e6)
    site = app(Desk(lambda _: Client("sensor", limits), full, {"box"}, {}, Parts(tmp_path)))
    head = [(b"authorization", b"Bearer x"), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "PUT", "path": "/v1/outboxes/box/key", "headers": head, "query_string": b"",
    }  # fmt: skip
    said: list[int] = []

    async def received() -> dict[str, object]:
        return {"type": "http.request", "body": b"[]"}

    async def sent(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            said.append(int(str(message["status"])))

    async def ask() -> None:
        for _ in range(20):
            await site(dict(scope), received, sent)

    asyncio.run(ask())
    assert said == [507] * 20
    assert [record.levelname for record in caplog.records] == ["WARNING"]
