"""`tierflow token` and `tierflow certs`, as typed on the head: all they need is the fabric's state."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.cli.test_cli import tierflow
from tierflow.runtime.grants import Grants
from tierflow.runtime.keys import Keys
from tierflow.runtime.record import FabricRecord
from tierflow.trust import STARTED, Claim, JoinToken

CLUSTER = """
name: guarded
hosts: local
nodes:
  - {name: cloud-1, tier: cloud, site: region-1}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return made(tmp_path, encrypted=True)


def made(root: Path, *, encrypted: bool) -> Path:
    state = root / "guarded"
    state.mkdir()
    (state / "cluster.yaml").write_text(CLUSTER)
    Keys(state).make("guarded", encrypted=encrypted)
    Grants(state).admit([(Claim("cloud-1", "cloud", "region-1", "127.77.0.1"), STARTED)])
    if encrypted:
        Keys(state).equip("cloud-1", "127.77.0.1")
    FabricRecord("guarded", str(state), "local", "127.77.0.1:6379", "http://127.0.0.1:1", {}, ready=True).save()
    return root


def said(*words: str, state: Path, code: int = 0) -> str:
    shown = tierflow(*words, state=state)
    assert shown.returncode == code, shown.stderr
    return " ".join((shown.stdout if code == 0 else shown.stderr).split())


PLACE = ("--tier", "device", "--site", "plant-1")


def test_a_token_is_made_listed_and_revoked(root: Path) -> None:
    token = JoinToken.read(said("token", "make", *PLACE, "--name", "cam-9", "--expires", "7d", state=root))
    assert (token.tier, token.site, token.name, token.door) == ("device", "plant-1", "cam-9", "127.77.0.1:6380")
    assert "cam-9 good for 7.0 days" in said("token", "list", state=root)
    assert f"the join token {token.id} is revoked" in said("token", "revoke", token.id, state=root)
    assert "revoked" in said("token", "list", state=root)
    rows = json.loads(said("token", "list", "--json", state=root))
    assert [(row["id"], row["name"], row["revoked"] > 0, row["nodes"]) for row in rows] == [
        (token.id, "cam-9", True, [])
    ]


def test_a_token_in_a_file_is_its_owners_only(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "cam.token"
    assert said("token", "make", *PLACE, "-o", str(file), state=root) == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert JoinToken.read(file.read_text()).name == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("token", "make", "--tier", "fog", "--site", "x"), "has no tier 'fog'; give one of device, edge, cloud"),
        (("token", "make", *PLACE, "--expires", "soon"), "'soon' is not a duration; write it like '25 ms'"),
        (("token", "make", *PLACE, "--expires", "0 s"), "has expired lets nobody in; give a longer time"),
        (("token", "make", *PLACE, "--name", "cloud-1"), "cloud-1 is of tier cloud at site region-1"),
        (("token", "make", *PLACE, "--name", "Cam 9"), "'Cam 9' is no name of a node"),
        (("token", "make", "--tier", "edge", "--site", "a/b"), "'a/b' is no name of a site"),
        (("token", "revoke", "x"), "there is no join token 'x'; see `tierflow token list`"),
        (("certs", "make", "cloud-1", "10.0.0.1"), "cloud-1 is a node, and has its certificate by itself"),
        (("certs", "make", "../x", "10.0.0.1"), "'../x' is no name of a machine"),
        (("certs", "make", "laptop", "not an address"), "'not an address' is neither an address nor a host's name"),
        (("certs", "rotate", "--finish"), "no rotation is under way; begin one with `tierflow certs rotate`"),
    ],
    ids=range(11),
)
def test_what_cannot_be_done_is_one_sentence(root: Path, words: tuple[str, ...], sentence: str) -> None:
    shown = said(*words, state=root, code=1)
    assert shown.startswith("error: ")
    assert sentence in shown
    assert "Traceback" not in shown


def test_certificates_are_shown_and_rotated(root: Path) -> None:
    before = json.loads(said("certs", "show", "--json", state=root))
    assert set(before) == {"authority", "door", "cloud-1"}
    assert "Restart the nodes one by one" in said("certs", "rotate", state=root)
    after = json.loads(said("certs", "show", "--json", state=root))
    assert after["last authority"] == before["authority"]
    assert after["cloud-1"]["issuer"] == after["authority"]["subject"] != before["authority"]["subject"]
    assert after["door"] == before["door"]
    assert "a rotation is under way" in said("certs", "show", state=root)
    assert "the last rotation is not finished" in said("certs", "rotate", state=root, code=1)


def test_a_machine_that_is_no_node_gets_a_certificate_by_hand(root: Path) -> None:
    said("certs", "make", "laptop", "10.0.0.99", state=root)
    shown = json.loads(said("certs", "show", "--json", state=root))
    assert shown["laptop"]["names"][0] == "10.0.0.99"


def test_without_tls_there_is_nothing_to_rotate(tmp_path: Path) -> None:
    made(tmp_path, encrypted=False)
    shown = said("certs", "rotate", state=tmp_path, code=1)
    assert "this fabric has no certificates: it runs without TLS; write `tls: true` into its cluster file" in shown
