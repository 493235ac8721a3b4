"""The gateway over HTTP, as a process of its own on a real store."""

from __future__ import annotations

import http.client
import socket
import time

import pyarrow as pa
import pytest

from tests.gateway.conftest import MODEL, Gateway, stream
from tierflow.exchange.gateway.quota import Limits
from tierflow.exchange.gateway.wire import JSON
from tierflow.runtime.clients import Clients

TABLE = pa.table({"at": list(range(20_000)), "word": ["a", "b"] * 10_000})
BODY = stream(TABLE)
PLACE = "/v1/outboxes/readings/"


def test_a_record_is_kept_once_whichever_way_it_is_written(server: Gateway) -> None:
    assert server.put("one", BODY) == (201, {"seq": server.put("one", BODY)[1]["seq"], "again": False})
    assert server.put("one", stream(TABLE, "zstd"))[0] == 200
    status, said = server.put("one", stream(TABLE.slice(1)))
    assert (status, said) == (
        409,
        {"error": "this key was sent before with other content; send it under another key"},
    )
    assert server.put("rows", b'[{"a": 1}, {"a": null}]', JSON)[0] == 201
    kept = server.kept()
    assert kept["sensor/one"].equals(TABLE)
    assert kept["sensor/rows"].to_pylist() == [{"a": 1}, {"a": None}]


def test_an_upload_that_was_broken_off_goes_on_after_a_crash_of_the_gateway(server: Gateway) -> None:
    link = http.client.HTTPConnection("127.0.0.1", server.http)
    head = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/vnd.apache.arrow.stream"}
    link.request("PUT", PLACE + "large", BODY[:100_000], head | {"Content-Length": str(len(BODY))})
    time.sleep(0.5)
    link.close()
    server.stop(hard=True)
    server.start()
    status, headers, _ = server.ask("HEAD", PLACE + "large")
    assert (status, headers["Upload-Offset"], headers["Upload-Complete"]) == (200, "100000", "?0")
    status, headers, _ = server.ask("PATCH", PLACE + "large", b"x", Upload_Offset="7", Upload_Complete="?0")
    assert (status, headers["Upload-Offset"]) == (409, "100000")
    half = {"Upload_Offset": "100000", "Upload_Complete": "?0"}
    status, headers, _ = server.ask("PATCH", PLACE + "large", BODY[100_000:150_000], **half)
    assert (status, headers["Upload-Offset"]) == (204, "150000")
    rest = {"Upload_Offset": "150000", "Upload_Complete": "?1"}
    assert server.ask("PATCH", PLACE + "large", BODY[150_000:], **rest)[0] == 201
    assert server.kept()["sensor/large"].equals(TABLE)
    assert server.ask("HEAD", PLACE + "large")[0] == 404
    assert server.put("large", BODY) == (200, server.put("large", BODY)[1])


def test_an_upload_that_is_given_up_is_gone_and_so_many_at_once_are_allowed(server: Gateway) -> None:
    begun = {"Upload_Offset": "0", "Upload_Complete": "?0"}
    names = [f"part-{number}" for number in range(5)]
    answers = [server.ask("PATCH", PLACE + name, b"[", **begun) for name in names]
    assert [status for status, _, _ in answers] == [204] * 4 + [429]
    assert answers[4][1]["Retry-After"]
    assert [server.ask("DELETE", PLACE + name)[0] for name in names] == [204] * 4 + [404]


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/v1/outboxes/other/k", {}, 404),
        ("/v1/outboxes/readings/..%2Fk", {}, 404),
        ("/v1/outboxes/readings/-k", {}, 400),
        ("/v1/outboxes/readings/" + "k" * 129, {}, 400),
        (PLACE + "k?priority=x", {}, 400),
        (PLACE + "k", {"Content_Type": "text/plain"}, 415),
        (PLACE + "k", {"Content_Encoding": "gzip"}, 415),
        (PLACE + "k", {"Content_Length": "3000000"}, 413),
        ("/nowhere", {}, 404),
        ("/docs", {}, 404),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    server: Gateway, path: str, more: dict[str, str], status: int
) -> None:
    found, _, said = server.ask("PUT", path, b"[]", **{"Content_Type": JSON} | more)
    assert found == status
    assert said.startswith(b'{"error":"')


def test_tokens(server: Gateway) -> None:
    good, short = server.made(name="guest"), server.made(name="guest", lasts=1e-6)
    clients = Clients(server.folder)
    assert server.put("g", b"[]", JSON, token=good)[0] == 201
    assert server.put("g", b"[]", JSON)[0] == 201  # another client's key is another record
    for wrong in ("", "x", good[:-1], good + "x", good.replace("tg1", "tg2"), f"tg1.{'0' * 12}.{'A' * 43}", "ü"):
        status, said = server.put("g", b"[]", JSON, token=wrong or " ")
        assert (status, "not known" in said["error"]) == (401, True)
    assert "expired" in server.put("g", b"[]", JSON, token=short)[1]["error"]
    clients.revoke(good.split(".")[1])
    status, headers, said = server.ask("GET", "/v1/versions/model", token=good)
    assert (status, headers["WWW-Authenticate"], b"revoked" in said) == (401, "Bearer", True)
    assert good.split(".")[2] not in clients.file.read_text()
    assert clients.file.stat().st_mode & 0o077 == 0


def test_quotas(server: Gateway) -> None:
    often = server.made(Limits(rate=0.01), "often")
    found = [server.ask("PUT", PLACE + "q", b"[]", token=often, Content_Type=JSON) for _ in range(6)]
    assert [status for status, _, _ in found] == [201] + [429] * 5
    assert 50 < int(found[-1][1]["Retry-After"]) <= 100
    little = server.made(Limits(day=1000), "little")
    assert server.put("q", BODY, token=little)[0] == 429


def test_a_version_is_received_whole_in_part_or_not_at_all(server: Gateway) -> None:
    status, headers, body = server.ask("GET", "/v1/versions/model")
    assert (status, body, headers["Content-Type"]) == (200, MODEL, "application/octet-stream")
    assert headers["Tierflow-Version"] == "1"
    tag = headers["ETag"]
    assert server.ask("GET", "/v1/versions/model", If_None_Match=tag)[0] == 304
    for asked, part in (
        ("0-9", MODEL[:10]),
        ("300000-", MODEL[300_000:]),
        ("-7", MODEL[-7:]),
        ("65530-400000", MODEL[65530:400001]),
    ):
        status, headers, body = server.ask("GET", "/v1/versions/model", Range=f"bytes={asked}", If_Range=tag)
        assert (status, body) == (206, part)
        assert headers["Content-Range"].endswith(f"/{len(MODEL)}")
    assert server.ask("GET", "/v1/versions/model", Range="bytes=5-", If_Range='"older"')[0] == 200
    assert server.ask("GET", "/v1/versions/model", Range="bytes=9999999-")[0] == 416
    assert server.ask("GET", "/v1/versions/nothing-yet")[0] == 404
    assert server.ask("GET", "/v1/versions/other")[0] == 404


def test_who_keeps_a_place_for_nothing_loses_it(server: Gateway) -> None:
    slow = server.made(name="slow")
    head = f"PUT {PLACE}slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {slow}\r\nContent-Type: {JSON}\r\n"
    ways = (b"PUT /v1/", f"{head}Content-Length: 50\r\n\r\n[".encode(), b"")
    held = []
    for said in ways * 8:
        link = socket.create_connection(("127.0.0.1", server.http))
        link.sendall(said)
        link.settimeout(10)
        held.append(link)
    assert server.put("quick", b"[]", JSON)[0] in (200, 201)  # others are answered meanwhile
    for link in held:
        with link:
            received = b""
            try:
                while more := link.recv(4096):
                    received += more
            except ConnectionResetError:
                pass
        assert not received or received.startswith((b"HTTP/1.1 408", b"HTTP/1.1 409")), received


def test_a_body_that_does_not_end_is_refused_in_bounded_memory(server: Gateway) -> None:
    before = server.memory()
    link = http.client.HTTPConnection("127.0.0.1", server.http, timeout=20)
    head = {"Authorization": f"Bearer {server.made(name='flood')}", "Content-Type": JSON}
    status = 413
    try:
        link.request("PUT", PLACE + "flood", (bytes(1 << 16) for _ in range(1600)), head, encode_chunked=True)
        status = link.getresponse().status
    except OSError:
        pass  # closed while it was still coming
    finally:
        link.close()
    assert status == 413
    assert server.memory() - before < 30 << 20
