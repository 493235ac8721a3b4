"""The forwarder: ports of this machine's loopback that lead into hosts. Standard library only.

Run as `bare.py forward PLAN` by `Rig.forward`; PLAN is a JSON list of (listening descriptor, namespace, port).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator

from tierflow.errors import RigError

__all__ = ["listeners"]

_CLONE_NEWNET = 0x40000000
_PART = 1 << 16


@contextlib.contextmanager
def listeners(ports: Iterable[int]) -> Iterator[list[socket.socket]]:
    """Sockets that listen on these ports of 127.0.0.1, in order; closed afterwards.

    Raises:
        RigError: a port is taken.
    """
    with contextlib.ExitStack() as stack:
        sockets = []
        for port in ports:
            server = stack.enter_context(socket.socket())
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind(("127.0.0.1", port))
                server.listen(128)
            except OSError as error:
                raise RigError(
                    f"port {port} of 127.0.0.1 cannot be used ({error.strerror})",
                    "end what listens there, or choose another port",
                ) from None
            sockets.append(server)
        yield sockets


def _socket_inside(namespace: str) -> socket.socket:
    """A socket of the namespace; it stays there when the process goes home."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        there = os.open(namespace, os.O_RDONLY)
        try:
            if libc.setns(there, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
        finally:
            os.close(there)
        try:
            return socket.socket()
        finally:
            if libc.setns(home, _CLONE_NEWNET):
                sys.exit("cannot return to this machine's own network")
    finally:
        os.close(home)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on one direction to its end, and the end too."""
    while part := await reader.read(_PART):
        writer.write(part)
        await writer.drain()
    writer.write_eof()


async def _serve(server: socket.socket, namespace: str, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(writer.close)
            try:
                sock = _socket_inside(namespace)
                sock.setblocking(False)
                stack.callback(sock.close)
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
                far_reader, far_writer = await asyncio.open_connection(sock=sock)
                stack.callback(far_writer.close)
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            except OSError:
                return  # nobody listens there, or one end hung up: the other learns it by the close

    await asyncio.start_server(connected, sock=server)


async def _main(plan: list[tuple[int, str, int]]) -> None:
    for descriptor, namespace, port in plan:
        await _serve(socket.socket(fileno=descriptor), namespace, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
