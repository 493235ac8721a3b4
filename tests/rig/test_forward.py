from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tierflow.errors import RigError
from tierflow.rig import Rig

pytestmark = pytest.mark.namespace

SHOUT = """
import socket
s = socket.create_server(("127.0.0.1", 80)); print("ready", flush=True)
while True:
    c, _ = s.accept(); d = b""
    while part := c.recv(1 << 16): d += part
    c.sendall(d.upper()); c.close()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_port_of_this_machine_leads_into_a_host(rig: Rig) -> None:
    port = free_port()
    rig.forward({port: ("cloud-1", 80)})
    with rig.hosts["cloud-1"].popen([sys.executable, "-IS", "-c", SHOUT], stdout=subprocess.PIPE) as shout:
        assert shout.stdout is not None
        assert shout.stdout.readline() == b"ready\n"
        for size in (5, 300_000):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(b"x" * size)
                client.shutdown(socket.SHUT_WR)
                heard = b""
                while part := client.recv(1 << 16):
                    heard += part
            assert heard == b"X" * size
        shout.kill()
    assert Rig.attach(rig.state).forwards == {port: ("cloud-1", 80)}


def test_nobody_behind_the_port_closes_the_connection(rig: Rig) -> None:
    port = free_port()
    rig.forward({port: ("cloud-1", 80)})
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        assert client.recv(10) == b""


def test_a_busy_port_is_a_clear_error(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(RigError, match=f"port {port} of 127.0.0.1 cannot be used"):
            rig.forward({port: ("cloud-1", 80)})
    with pytest.raises(RigError, match="no node 'nobody'"):
        rig.forward({free_port(): ("nobody", 80)})
    assert rig.forwards == {}
