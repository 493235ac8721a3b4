"""`tierflow gateway`, as typed on the machine of a node: all it needs is the node's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import tierflow
from tierflow.runtime.clients import Clients, ClientsFile
from tierflow.runtime.gateway import config_file
from tierflow.topology import GatewaySpec


def said(*words: str, folder: Path, code: int = 0) -> str:
    shown = tierflow("gateway", *words, "--folder", str(folder), state=folder)
    assert shown.returncode == code, shown.stderr
    return " ".join((shown.stdout if code == 0 else shown.stderr).split())


def test_a_gateway_is_opened_and_closed(tmp_path: Path) -> None:
    said("open", "--outbox", "readings", "--version", "model", "--http", "9000", folder=tmp_path)
    spec = GatewaySpec.model_validate_json(config_file(tmp_path).read_text())
    assert (spec.outboxes, spec.versions, spec.listen, spec.http) == (("readings",), ("model",), "127.0.0.1", 9000)
    said("close", folder=tmp_path)
    assert not config_file(tmp_path).exists()


def test_a_token_is_made_listed_and_revoked(tmp_path: Path) -> None:
    token = said("token", "make", "sensor", "--size", "1 MB", "--rate", "3", folder=tmp_path)
    found = ClientsFile(Clients(tmp_path))(token)
    assert (found.name, found.limits.size, found.limits.rate) == ("sensor", 1_000_000, 3.0)
    (row,) = json.loads(said("token", "list", "--json", folder=tmp_path))
    assert token not in str(row)
    assert "digest" not in row
    assert "sensor good for 30.0 days" in said("token", "list", folder=tmp_path)
    said("token", "revoke", row["id"], folder=tmp_path)
    assert "sensor revoked" in said("token", "list", folder=tmp_path)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("open",), "neither take nor give anything; say --outbox or --version"),
        (("open", "--outbox", "a", "--listen", "node"), "give the address with --listen"),
        (("open", "--outbox", "A b"), "this gateway cannot be"),
        (("token", "make", "A b"), "'A b' is no name of a client"),
        (("token", "make", "a", "--expires", "0 s"), "lets nobody in; give more than 0"),
        (("token", "revoke", "x"), "there is no client's token 'x'; see `tierflow gateway token list`"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in said(*words, folder=tmp_path, code=1)
