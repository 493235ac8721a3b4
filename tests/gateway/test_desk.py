"""The rules behind both doors, without a door: answers, quotas, uploads, records that are kept once."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow import errors
from tierflow.errors import ClientRefused, RefusedAs, TierflowError
from tierflow.exchange.gateway.answers import ANSWERS, REFUSED, answer
from tierflow.exchange.gateway.parts import Parts
from tierflow.exchange.gateway.quota import Client, Limits, Quota
from tierflow.runtime.durable import outbox
from tierflow.runtime.durable.outbox import OutboxStore
from tierflow.trust.client import ClientGrant, checked, digest, sealed


def test_every_error_has_a_status_and_a_sentence() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TierflowError)]
    assert set(ANSWERS) == set(kinds) - {TierflowError, ClientRefused}
    assert set(REFUSED) == set(get_args(RefusedAs))
    for said in ANSWERS.values():
        assert 400 <= said.status < 600
        assert said.status != 500
        assert said.sentence
        assert "/" not in said.sentence
    for kind in get_args(RefusedAs):
        said = answer(ClientRefused(kind, "no", "do otherwise", 2.0))
        assert (said.sentence, said.after, 400 <= said.status < 500) == ("no; do otherwise", 2.0, True)
    refused = ClientRefused("conflict", "no", "go on", 1.0, 7)
    assert vars(pickle.loads(pickle.dumps(refused))) == vars(refused)
    assert answer(ValueError("/etc/secret")).sentence == ANSWERS[errors.StoreError].sentence


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 400)), max_size=40))
def test_no_client_gets_more_than_his_quota(steps: list[tuple[float, int]]) -> None:
    limits, now, spent, records = Limits(day=1000, rate=2.0), 0.0, 0, 0
    quota = Quota(limits, now)
    for passed, count in steps:
        now += passed
        for spend, size in ((quota.bytes, count), (lambda _, at: quota.record(at), 0)):
            try:
                spend(size, now)
            except ClientRefused:
                continue
            spent, records = spent + size, records + (size == 0 and spend != quota.bytes)
    assert spent <= 1000 * (1 + now / 86400) + 1e-6
    assert records <= 2 + 2.0 * now + 1e-6


def test_uploads_are_bounded_expire_and_are_taken_over(tmp_path: Path) -> None:
    client, parts = Client("sensor", Limits(uploads=2)), Parts(tmp_path, life=100.0)
    first = parts.open(client, "box", "a", None)
    first.append(b"123")
    second = parts.open(client, "box", "a", 3)
    with pytest.raises(ClientRefused, match="another request"):
        first.append(b"4")
    second.append(b"45")
    first.forget()  # it is not its own any more
    assert Parts(tmp_path).offset(client, "box", "a") == 5
    parts.open(client, "box", "b", 0)
    with pytest.raises(ClientRefused, match="2 uploads at once") as refused:
        parts.open(client, "box", "c", None)
    assert refused.value.after > 0
    with pytest.raises(ClientRefused, match="5 bytes") as refused:
        parts.open(client, "box", "a", 4)
    assert refused.value.offset == 5
    for file in tmp_path.glob("*/*"):
        os.utime(file, (time.time() - 200, time.time() - 200))
    assert Parts(tmp_path, life=100.0).offset(client, "box", "a") is None
    assert not list(tmp_path.glob("*/*"))


def test_a_name_is_put_once_also_after_a_restart_and_a_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = OutboxStore(tmp_path / "box")
    assert store.put_once(b"one", "s/a", 0) == (1, False)
    assert store.put_once(b"one", "s/a", 5) == (1, True)
    assert store.put_once(b"two", "s/a", 0) is None
    store.settle(store.plan().birth, [1])
    store.close()
    store = OutboxStore(tmp_path / "box")
    assert store.put_once(b"one", "s/a", 0) == (1, True)
    for number in range(40):
        store.put_once(bytes(3000), f"s/{number}", 0)
    file = store.file
    store.close()
    damaged = bytearray(file.read_bytes())
    damaged[-4096 * 3 + 100] ^= 0xFF
    file.write_bytes(damaged)
    store = OutboxStore(tmp_path / "box")
    again = [store.put_once(bytes(3000), f"s/{number}", 0) for number in range(40)]
    assert sum(found is not None and found[1] for found in again) >= 38
    monkeypatch.setattr(outbox, "REMEMBERED", 4)
    monkeypatch.setattr(outbox, "FORGET", 1)
    assert store.put_once(b"x", "s/new", 0) is not None
    assert store.put_once(b"other", "s/a", 0) not in (None, (1, True))  # long ago
    store.close()


def test_a_store_from_before_there_were_names_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(outbox._Content, "tables", (outbox.FACTS, outbox.RECORDS))
        store = OutboxStore(tmp_path / "box")
        seqs = [store.put(bytes(3000), f"s/{number}", 0) for number in range(40)]
        store.settle(store.plan().birth, seqs)
        store.close()
    store = OutboxStore(tmp_path / "box")
    assert store.put_once(b"one", "s/a", 0) == (41, False)
    assert store.put_once(b"one", "s/a", 0) == (41, True)
    assert [record.value for record in store.read([*seqs, 41])] == [b"one"]
    assert store.backlog().repairs == 0
    store.close()


def test_so_many_names_are_known_whatever_else_is_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "REMEMBERED", 8)
    monkeypatch.setattr(outbox, "FORGET", 4)
    store = OutboxStore(tmp_path / "box")

    def names() -> list[str]:
        return sorted(
            (name for _, name, _, _ in store._database.run(lambda db: list(outbox.NAMES.select(db)))), key=int
        )

    for number in range(40):  # every name has an odd number of the store
        assert store.put_once(b"x", f"{number}", 0) == (2 * number + 1, False)
        store.put(b"y", "k", 0)
        assert len(names()) <= 12
        assert names()[-8:] == [str(name) for name in range(max(number - 7, 0), number + 1)]
    for number in range(40, 60):  # a program that ends after each
        store.close()
        store = OutboxStore(tmp_path / "box")
        store.put_once(b"x", f"{number}", 0)
        assert len(names()) <= 12
    store.close()


def test_a_token_that_is_not_good_says_why() -> None:
    token = sealed("id", "secret")
    grant = ClientGrant("id", "sensor", digest(token), 100.0, 0.0, 1, 1, 1.0, 1)
    assert checked(token, {"id": grant}, 99.0) == grant
    for wrong in ("", "tg1.id.other", "tg1.no.secret", token + "x", "a" * 10_000, "ü"):
        with pytest.raises(ClientRefused, match="not known"):
            checked(wrong, {"id": grant}, 99.0)
    with pytest.raises(ClientRefused, match="expired"):
        checked(token, {"id": grant}, 100.0)
