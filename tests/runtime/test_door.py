"""The door on this machine's loopback: a real one, in a thread, and machines that knock."""

from __future__ import annotations

import json
import os
import socket
import ssl
import stat
import subprocess
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tierflow.errors import FabricError, TrustError
from tierflow.runtime.door import DOOR_PORT, Door
from tierflow.runtime.entry import enter, read_join_token
from tierflow.runtime.grants import Grants
from tierflow.runtime.keys import Keys
from tierflow.runtime.settings import make_token
from tierflow.topology import parse
from tierflow.trust import STARTED, Claim, JoinToken, facts

CLUSTER = """
name: guarded
hosts: local
tls: true
nodes:
  - {name: cloud-1, tier: cloud, site: region-1}
  - {name: gw-1, tier: edge, site: plant-1}
"""
HOSTS = count(1)
"""Each test has an address of its own, since a door is not closed before the process ends."""
PLACE = ("device", "plant-1")


class Head:
    """A head with a door; `here` and `there` are addresses that machines knock from."""

    def __init__(self, state: Path) -> None:
        number = next(HOSTS)
        self.state, self.address = state, f"127.88.{number}.1"
        self.here, self.there = f"127.88.{number}.8", f"127.88.{number}.9"
        (state / "cluster.yaml").write_text(CLUSTER)
        make_token(state / "token")
        self.keys, self.grants = Keys(state), Grants(state)
        self.keys.make("guarded", encrypted=True)
        self.grants.admit([(Claim("cloud-1", "cloud", "region-1", self.address), STARTED)])
        self.where = f"{self.address}:{DOOR_PORT}"
        Door(state, f"{self.address}:6379").start()
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self.address, DOOR_PORT), 1).close()
                return
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.01)

    def token(self, name: str = "", lasts: float = 60.0) -> str:
        return self.grants.make(parse(CLUSTER), self.where, PLACE, name, lasts)


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Head:
    monkeypatch.setenv("TIERFLOW_STATE", str(tmp_path / "machine"))
    state = tmp_path / "guarded"
    state.mkdir()
    return Head(state)


def test_a_machine_gets_all_that_its_node_needs_and_keeps_it_to_itself(head: Head) -> None:
    got = enter(head.token(), "cam-9", head.here)
    assert got.claim == Claim("cam-9", "device", "plant-1", head.here)
    assert got.head == f"{head.address}:6379"
    environment = got.environment()
    assert Path(environment["RAY_AUTH_TOKEN_PATH"]).read_text() == (head.state / "token").read_text()
    assert environment["RAY_USE_TLS"] == "1"
    assert facts(Path(environment["RAY_TLS_SERVER_CERT"]).read_bytes()).names[0] == head.here
    files = list(got.folder.iterdir())
    assert len(files) == 8
    assert (got.folder / "site.key").read_bytes() == Keys(head.state).of_site("plant-1")
    assert Keys(head.state).of_site("plant-1") not in (got.folder / "given.json").read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(got.folder.stat().st_mode) == 0o700
    check = ["openssl", "verify", "-CAfile", environment["RAY_TLS_CA_CERT"], environment["RAY_TLS_SERVER_CERT"]]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    assert head.grants.admitted()["cam-9"].address == head.here


def test_it_comes_again_by_its_own_token_also_when_the_first_has_expired(head: Head) -> None:
    text = head.token(lasts=0.3)
    first = enter(text, "cam-9", head.here)
    time.sleep(0.3)
    again = enter(text, "cam-9", head.there)
    assert again.folder == first.folder
    assert head.grants.admitted()["cam-9"].address == head.there
    with pytest.raises(TrustError, match="has expired"):
        enter(text, "cam-10", head.here)


def test_revoking_ends_the_token_and_what_came_of_it(head: Head) -> None:
    text = head.token()
    enter(text, "cam-9", head.here)
    grant = JoinToken.read(text).id
    assert head.grants.revoke(grant) == ("cam-9",)
    with pytest.raises(TrustError, match=f"the join token {grant} was revoked"):
        enter(text, "cam-9", head.here)
    assert enter(head.token("cam-9"), "", head.here).claim.name == "cam-9"
    with pytest.raises(TrustError, match="there is no join token 'nonsense'; see `tierflow token list`"):
        head.grants.revoke("nonsense")


def test_another_machine_with_the_same_token_cannot_take_the_name(
    head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = head.token()
    enter(text, "cam-9", head.here)
    monkeypatch.setenv("TIERFLOW_STATE", str(tmp_path / "another machine"))
    with pytest.raises(TrustError, match="the name cam-9 is taken"):
        enter(text, "cam-9", head.there)
    with pytest.raises(TrustError, match="gw-1 is of tier edge"):
        enter(text, "gw-1", head.there)
    assert head.grants.admitted()["cam-9"].address == head.here


def test_who_is_not_the_head_is_told_nothing(head: Head) -> None:
    token = JoinToken.read(head.token())
    impostor = replace(token, pin="0" * 64).sealed(b"")
    with pytest.raises(TrustError, match="is not the fabric that made this join token"):
        enter(impostor, "cam-9", head.here)
    assert "cam-9" not in head.grants.admitted()


def test_a_forged_token_is_refused_and_not_repeated_in_the_log(head: Head, caplog: pytest.LogCaptureFixture) -> None:
    forged = replace(JoinToken.read(head.token()), tier="cloud").sealed(b"guess")
    with pytest.raises(TrustError, match="was not made by the fabric 'guarded'"):
        enter(forged, "cam-9", head.here)
    assert "was not let in" in caplog.text
    assert forged not in caplog.text


def test_where_nobody_answers_a_node_goes_on_with_what_it_has(head: Head) -> None:
    text = head.token()
    got = enter(text, "cam-9", head.here)
    away = replace(JoinToken.read(text), door=f"{head.address}:1").sealed(b"")
    with pytest.raises(FabricError, match=r"the door of the fabric 'guarded' at \S+:1 does not answer"):
        enter(away, "cam-10", head.here)
    (got.folder / "own.token").write_text(away)
    assert enter(away, "cam-9", head.here) == got


@pytest.mark.parametrize(
    "line",
    [b"\n", b"[]\n", b"{}\n", b'{"token": 1, "name": "a", "request": "b"}\n', b"\xff\n", b"[" * 8000 + b"\n"],
    ids=range(6),
)
def test_what_is_no_request_is_answered_with_a_sentence(head: Head, line: bytes) -> None:
    assert said(head, line)["problem"] == "this is not a request that the door knows"


def said(head: Head, line: bytes) -> dict[str, str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((head.address, DOOR_PORT), 5) as plain,
        context.wrap_socket(plain) as secure,
    ):
        secure.sendall(line)
        answer: dict[str, str] = json.loads(secure.makefile("rb").readline())
        return answer


def test_a_request_without_end_is_not_listened_to(head: Head) -> None:
    with pytest.raises((OSError, ValueError)):
        said(head, b"x" * 100_000)


def test_who_knocks_too_often_waits(head: Head) -> None:
    problems = [said(head, b"{}\n")["problem"] for _ in range(13)]
    assert "has knocked too often" in problems[-1]
    assert "this is not a request" in problems[0]


@pytest.mark.parametrize(
    ("place", "name", "lasts", "sentence"),
    [
        (("fog", "plant-1"), "", 60, "has no tier 'fog'; give one of device, edge, cloud with --tier"),
        (("device", "plant-1"), "gw-1", 60, "gw-1 is of tier edge at site plant-1 .*give --tier edge --site plant-1"),
        (("device", "plant-1"), "", 0, "has expired lets nobody in; give a longer time with --expires"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(
    head: Head, place: tuple[str, str], name: str, lasts: float, sentence: str
) -> None:
    with pytest.raises(TrustError, match=sentence):
        head.grants.make(parse(CLUSTER), head.where, place, name, lasts)
    assert head.grants.made() == {}


def test_a_token_file_that_others_can_read_is_refused(head: Head, tmp_path: Path) -> None:
    file = tmp_path / "join.token"
    with pytest.raises(TrustError, match="cannot be read"):
        read_join_token(file)
    file.write_text(head.token())
    file.chmod(0o644)
    with pytest.raises(TrustError, match=r"others than its owner can read .*; chmod 600 "):
        read_join_token(file)
    file.chmod(0o600)
    assert read_join_token(file) == file.read_text()


def test_a_rotation_links_new_certificates_to_the_old_authority_until_it_is_finished(head: Head) -> None:
    old = enter(head.token("cam-9"), "", head.here)
    before = (old.folder / "node.pem").read_bytes()
    head.keys.equip("cloud-1", head.address)
    head.keys.rotate("guarded", {"cloud-1": head.address})
    assert head.keys.shown()["cloud-1"].issuer == head.keys.shown()["authority"].subject
    with pytest.raises(TrustError, match="the last rotation is not finished; restart every node"):
        head.keys.rotate("guarded", {})
    new = enter(head.token("cam-9"), "", head.here)
    assert (new.folder / "node.pem").read_bytes().count(b"BEGIN") == 2
    assert (new.folder / "ca.pem").read_bytes().count(b"BEGIN") == 2
    head.keys.finish({"cloud-1": head.address})
    assert head.keys.trusted.count(b"BEGIN") == 1
    assert head.keys.rotated is None
    assert facts(before).issuer != head.keys.shown()["authority"].subject


def test_everything_that_is_secret_is_its_owners_only(head: Head) -> None:
    head.token()
    enter(head.token(), "cam-9", head.here)
    assert stat.S_IMODE(head.keys.folder.stat().st_mode) == 0o700
    for folder, _, files in os.walk(head.keys.folder):
        for name in files:
            assert stat.S_IMODE((Path(folder) / name).stat().st_mode) == 0o600
