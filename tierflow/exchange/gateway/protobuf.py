"""The three messages of Arrow Flight that a gateway reads and writes (Flight.proto), field by field.

https://protobuf.dev/programming-guides/encoding/ is all there is to them; lengths are held to the bytes that came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tierflow.exchange.gateway.flatbuffer import Malformed

__all__ = ["Data", "data_of", "flight_data", "put_result", "ticket_of"]

_DESCRIPTOR, _HEADER, _BODY, _PATH = 1, 2, 1000, 3
_MOST = 64
"""Fields of a message at the most."""


@dataclass(frozen=True, slots=True)
class Data:
    """A FlightData: the path of its descriptor, an Arrow message's header (a flatbuffer) and its body."""

    path: tuple[str, ...]
    header: bytes
    body: memoryview


def data_of(message: bytes) -> Data:
    """A FlightData. Raises `Malformed`."""
    path: tuple[str, ...] = ()
    header, body = b"", memoryview(b"")
    for number, content in _fields(message):
        if number == _DESCRIPTOR:
            path = tuple(_text(bytes(part)) for inner, part in _fields(bytes(content)) if inner == _PATH)
        elif number == _HEADER:
            header = bytes(content)
        elif number == _BODY:
            body = content
    return Data(path, header, body)


def ticket_of(message: bytes) -> bytes:
    """The bytes of a Ticket. Raises `Malformed`."""
    return next((bytes(content) for number, content in _fields(message) if number == 1), b"")


def flight_data(header: bytes, body: bytes | memoryview) -> bytes:
    """A FlightData."""
    return b"".join([_tag(_HEADER), _varint(len(header)), header, _tag(_BODY), _varint(len(body)), body])


def put_result(metadata: bytes) -> bytes:
    """A PutResult."""
    return b"".join([_tag(1), _varint(len(metadata)), metadata])


def _fields(message: bytes) -> Iterator[tuple[int, memoryview]]:
    """The fields that hold bytes, in place; numbers are passed over. Raises `Malformed`."""
    at, count, view = 0, 0, memoryview(message)
    while at < len(message):
        tag, at = _read(message, at)
        count += 1
        kind = tag & 7
        if count > _MOST or kind not in (0, 1, 2, 5):
            raise Malformed("it has a field of no known kind, or too many")
        if kind == 0:
            _, at = _read(message, at)
            continue
        size, at = _read(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + size > len(message):
            raise Malformed("a field is longer than the message")
        if kind == 2:
            yield tag >> 3, view[at : at + size]
        at += size


def _read(message: bytes, at: int) -> tuple[int, int]:
    """A varint, and where the next byte is."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        octet = message[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, at
    raise Malformed("a number does not end")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _tag(number: int) -> bytes:
    return _varint(number << 3 | 2)


def _text(part: bytes) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a path is not text") from error
