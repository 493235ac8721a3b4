"""A device that cannot run Ray: it sends a table through its edge node's gateway, and receives a version.

``python plain.py http://10.0.0.2:8470 grpc://10.0.0.2:8471 TOKEN_FILE [CA_FILE]``; with TLS https:// and grpc+tls://.
"""

import json
import ssl
import sys
import time
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path

import pyarrow as pa
from pyarrow import flight

PATH, ARROW = "/v1/outboxes/readings/morning", {"Content-Type": "application/vnd.apache.arrow.stream"}


def main(base: str, place: str, token_file: str, trusted: str | None = None) -> None:
    """Send a table by HTTP, broken off and again, and one by Flight; receive `model` by both."""
    head = {"Authorization": f"Bearer {Path(token_file).read_text().strip()}"}
    table = pa.table({"at": range(50_000), "celsius": [20.0 + n % 7 for n in range(50_000)]})
    with pa.ipc.new_stream(sink := pa.BufferOutputStream(), table.schema) as stream:
        stream.write_table(table)
    body = sink.getvalue().to_pybytes()
    kind = partial(HTTPSConnection, context=ssl.create_default_context(cafile=trusted)) if trusted else HTTPConnection
    link = partial(kind, base.partition("//")[2], timeout=30)

    def ask(method: str, path: str, data: bytes | None = None, **more: str) -> tuple[HTTPResponse, bytes]:
        made = link()
        made.request(method, path, data, head | {name.replace("_", "-"): value for name, value in more.items()})
        answer = made.getresponse()
        return answer, answer.read()

    broken = link()
    broken.request("PUT", PATH, body[:300_000], head | ARROW | {"Content-Length": str(len(body))})
    time.sleep(1)
    broken.close()
    for _ in range(30):
        offset = int(ask("HEAD", PATH)[0].headers.get("Upload-Offset", 0))  # what is there says where to go on
        answer, said = ask("PATCH", PATH, body[offset:], Upload_Offset=str(offset), Upload_Complete="?1")
        if answer.status < 400:
            break
        time.sleep(1)  # more of it came meanwhile, or the gateway is busy
    sent = [said, ask("PUT", PATH, body, **ARROW)[1]]  # again: kept once
    answer, model = ask("GET", "/v1/versions/model")
    client = flight.FlightClient(place, tls_root_certs=Path(trusted).read_bytes() if trusted else None)
    options = flight.FlightCallOptions(headers=[(b"authorization", head["Authorization"].encode())])
    writer, reader = client.do_put(flight.FlightDescriptor.for_path("readings", "noon"), table.schema, options)
    with writer:
        writer.write_table(table)
        sent.append(reader.read().to_pybytes())  # it is on the edge node's disk
    parts = client.do_get(flight.Ticket(b"model"), options).read_all()["part"].to_pylist()
    done = {"offset": offset, "sent": [json.loads(part) for part in sent], "same": b"".join(parts) == model}
    print(json.dumps(done | {"version": answer.headers["Tierflow-Version"], "model": model.decode()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
