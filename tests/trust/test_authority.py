"""Certificates, as TLS takes them: each test shakes hands."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from tierflow.errors import TrustError
from tierflow.trust import Pair, ask, authority, crossed, facts, fingerprint, issue

NOW = time.time()


def node(signer: Pair, name: str = "cam-1", address: str = "127.0.0.1", link: bytes = b"", now: float = NOW) -> Pair:
    key, request = ask(name)
    return Pair(issue(signer, request, name, [address], now) + link, key)


def context(folder: Path, side: int, own: Pair | None, trusted: bytes) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=trusted.decode())
    if own is not None:
        (folder / "own.pem").write_bytes(own.certificate + own.key)
        made.load_cert_chain(folder / "own.pem")
    return made


def shake(
    folder: Path, server: Pair, client: Pair | None, trusts: tuple[bytes, bytes], host: str = "127.0.0.1"
) -> str | None:
    """Connect with certificates on both sides; None where both are content, otherwise what one of them says."""
    ours, theirs = socket.socketpair()
    heard: list[str] = []
    inner = context(folder, ssl.PROTOCOL_TLS_SERVER, server, trusts[0])
    outer = context(folder, ssl.PROTOCOL_TLS_CLIENT, client, trusts[1])

    def serve() -> None:
        try:
            with inner.wrap_socket(theirs, server_side=True) as end:
                end.sendall(end.recv(1))
        except OSError as error:
            heard.append(str(error))
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with outer.wrap_socket(ours, server_hostname=host) as end:
            end.sendall(b"x")
            if end.recv(1) != b"x":
                heard.append("hung up")
    except OSError as error:
        heard.append(str(error))
    finally:
        ours.close()
        thread.join()
    return "; ".join(heard) or None


@pytest.fixture(scope="module")
def ca() -> Pair:
    return authority("demo", NOW)


def test_two_nodes_of_one_fabric_trust_each_other(tmp_path: Path, ca: Pair) -> None:
    assert shake(tmp_path, node(ca), node(ca, "cam-2"), (ca.certificate, ca.certificate)) is None


def test_who_has_no_certificate_or_another_fabrics_is_refused(tmp_path: Path, ca: Pair) -> None:
    other = authority("demo", NOW)
    assert shake(tmp_path, node(ca), None, (ca.certificate, ca.certificate)) is not None
    assert shake(tmp_path, node(ca), node(other), (ca.certificate, ca.certificate)) is not None
    said = shake(tmp_path, node(other), node(ca), (ca.certificate, ca.certificate))
    assert said is not None
    assert "unable to get local issuer certificate" in said


def test_a_certificate_is_for_its_own_address_only(tmp_path: Path, ca: Pair) -> None:
    said = shake(tmp_path, node(ca, address="10.0.0.8"), node(ca), (ca.certificate, ca.certificate), host="10.0.0.9")
    assert said is not None
    assert "IP address mismatch" in said


def test_a_nodes_certificate_signs_no_others(tmp_path: Path, ca: Pair) -> None:
    cheat = node(ca)
    forged = node(Pair(cheat.certificate, cheat.key), "cloud-1")
    chain = Pair(forged.certificate + cheat.certificate, forged.key)
    assert shake(tmp_path, chain, node(ca), (ca.certificate, ca.certificate)) is not None


def test_an_expired_certificate_is_refused(tmp_path: Path, ca: Pair) -> None:
    old = authority("demo", NOW - 400 * 86400)
    expired = node(old, now=NOW - 399 * 86400)
    said = shake(tmp_path, expired, node(old), (old.certificate, old.certificate))
    assert said is not None
    assert "expired" in said


@pytest.mark.parametrize("server_is_new", [True, False])
@pytest.mark.parametrize("client_is_new", [True, False])
def test_through_a_rotation_old_and_new_trust_each_other(
    tmp_path: Path, ca: Pair, server_is_new: bool, client_is_new: bool
) -> None:
    new = authority("demo", NOW)
    link = crossed(new, ca, NOW)
    before = (node(ca), ca.certificate)
    after = (node(new, link=link), new.certificate + ca.certificate)
    server, client = (after if server_is_new else before), (after if client_is_new else before)
    assert shake(tmp_path, server[0], client[0], (server[1], client[1])) is None


def test_after_a_rotation_the_old_authority_is_nobody(tmp_path: Path, ca: Pair) -> None:
    new = authority("demo", NOW)
    assert shake(tmp_path, node(new), node(ca), (new.certificate, new.certificate)) is not None


def test_the_key_stays_where_it_was_made_and_only_p256_is_signed(ca: Pair) -> None:
    key, request = ask("cam-1")
    assert b"PRIVATE" not in request + issue(ca, request, "cam-1", ["10.0.0.1"], NOW)
    for nonsense in (b"", b"x", request[:-40], key, ca.certificate):
        with pytest.raises(TrustError, match="not a request for a certificate"):
            issue(ca, nonsense, "cam-1", [], NOW)


def test_what_a_certificate_says(ca: Pair) -> None:
    said = facts(node(ca, "cam-1", "10.0.0.8").certificate)
    assert said.subject == "cam-1"
    assert said.names == ("10.0.0.8", "127.0.0.1", "localhost", "cam-1")
    assert said.issuer == facts(ca.certificate).subject
    assert said.since < NOW < said.until < facts(ca.certificate).until
    assert fingerprint(ca.certificate) == facts(ca.certificate).fingerprint
