"""Arrow from strangers: what a message says of its sizes is held to what is there, before pyarrow allocates anything.

A stream is messages of the encapsulated format
(https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format). Each header is read here first:
lengths must fit the bytes that came, compressed buffers may not expand beyond a bound, and there are so many messages,
columns and rows at the most. What is then read by pyarrow is validated to the last value.
"""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tierflow.errors import ClientRefused, PayloadError
from tierflow.exchange import tables
from tierflow.exchange.gateway.flatbuffer import Malformed, Table

__all__ = ["ARROW", "JSON", "Message", "check", "framed", "messages", "of_json", "of_stream"]

ARROW, JSON = "application/vnd.apache.arrow.stream", "application/json"
HEADER = 1 << 20
"""Bytes of a message's header at the most."""
MESSAGES = 4096
ROWS = 10_000_000
PARTS = 65_536
"""Messages of a stream, rows of a batch, and nodes or buffers of a batch at the most."""
JSON_MOST = 1 << 20
"""Bytes of JSON at the most: as Python's objects they take some thirty times that."""
FIELDS, VALUES = 4096, 1 << 20
"""Fields of a table in JSON at the most, and values of them all, nested ones and nulls counted: that many values do not
fit into so much JSON, unless it leaves fields out."""
_NAMED = 3
"""Keys that a refusal names."""
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_EXTENSION = b"ARROW:extension:name"
_AGAIN = "send an Arrow IPC stream as pyarrow writes it"

Message = tuple[bytes, memoryview]
"""The header (a flatbuffer) and the body of one."""


def of_stream(data: memoryview, most: int) -> pa.Table:
    """The table in an Arrow IPC stream of a stranger; its buffers may point into `data`.

    Args:
        data: the stream.
        most: bytes that it may hold once it is expanded.

    Raises:
        ClientRefused: it is no whole stream, or would be larger than that.
    """
    try:
        check(messages(data), most)
    except Malformed as error:
        raise ClientRefused("malformed", f"the body is no Arrow stream that can be taken: {error}", _AGAIN) from error
    try:
        table = tables.read(pa.py_buffer(data), single=False, whole=True)
        _must_be_plain(table.schema)
    except (PayloadError, MemoryError, OverflowError, RecursionError, UnicodeDecodeError, pa.ArrowException) as error:
        raise ClientRefused("malformed", f"the body is no whole Arrow stream ({_line(error)})", _AGAIN) from error
    return _within(table, most)


def of_json(data: bytes, most: int) -> pa.Table:
    """The table of a JSON list of rows: mappings with the same keys, in any order.

    Raises:
        ClientRefused: it is none, is larger than `JSON_MOST`, or its table would be larger than `FIELDS` and `VALUES`.
    """
    if len(data) > JSON_MOST:
        raise ClientRefused("large", f"rows of JSON may take {JSON_MOST} bytes", "send more than that as Arrow")
    try:
        rows: Any = json.loads(data)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("it is not a list of rows")
        _must_be_alike(rows)
        _must_not_swell(rows)
        return _within(pa.Table.from_pylist(rows), most)
    except (ValueError, TypeError, OverflowError, RecursionError, pa.ArrowException) as error:
        mend = "send a list of rows whose values are of one type in each column"
        raise ClientRefused("malformed", f"the body is no table in JSON ({_line(error)})", mend) from error


def messages(data: memoryview) -> Iterator[Message]:
    """The messages of a stream, up to its end. Raises `Malformed`."""
    at = 0
    while at < len(data):
        mark, size = _pair(data, at)
        if mark != 0xFFFFFFFF:
            raise Malformed("a message does not begin with its mark")
        if size == 0:
            if at + 8 != len(data):
                raise Malformed("bytes follow its end")
            return
        if size > HEADER or size % 8 or at + 8 + size > len(data):
            raise Malformed(f"a header of {size} bytes does not fit")
        header = bytes(data[at + 8 : at + 8 + size])
        start = at + 8 + size
        body = Table.root(header).integer(3, 8)
        if body < 0 or body % 8 or start + body > len(data):
            raise Malformed(f"a body of {body} bytes is not there")
        yield header, data[start : start + body]
        at = start + body


def check(stream: Iterable[Message], most: int) -> None:
    """Hold what messages say to what is there; `most` is how many bytes they may expand to. Raises `Malformed`."""
    left, count = most, 0
    for count, (header, body) in enumerate(stream, 1):
        kind, content = _opened(header)
        if (kind == _SCHEMA) != (count == 1) or count > MESSAGES:
            raise Malformed("it does not begin with one schema" if count <= MESSAGES else "it has too many messages")
        if kind == _SCHEMA:
            if len(body):
                raise Malformed("a schema has no body")
            continue
        batch = content.table(1) if kind == _DICTIONARY else content
        if kind not in (_DICTIONARY, _BATCH) or batch is None:
            raise Malformed("it holds more than a schema, dictionaries and batches")
        left -= _expanded(batch, body, left)
    if count == 0:
        raise Malformed("it is empty")


def framed(header: bytes, body: memoryview) -> tuple[bytes, memoryview]:
    """A message as it stands in a stream, in two pieces; the header is padded to 8 bytes, as the format wants it."""
    padding = -len(header) % 8
    return b"".join([struct.pack("<II", 0xFFFFFFFF, len(header) + padding), header, bytes(padding)]), body


def _opened(header: bytes) -> tuple[int, Table]:
    root = Table.root(header)
    content = root.table(2)
    if root.integer(0, 2) not in (3, 4) or content is None:
        raise Malformed("a message is of another version of the format")
    return root.integer(1, 1), content


def _expanded(batch: Table, body: memoryview, left: int) -> int:
    """Bytes that a batch takes when it is read. Raises `Malformed` where that is more than `left`."""
    nodes, buffers = batch.pairs(1, PARTS), batch.pairs(2, PARTS)
    for length, nulls in ((batch.integer(0, 8), 0), *nodes):
        if not 0 <= nulls <= length <= ROWS:
            raise Malformed(f"a column of {length} rows with {nulls} missing ones cannot be")
    compressed, total = batch.table(3) is not None, 0
    for offset, size in buffers:
        if offset < 0 or size < 0 or offset + size > len(body):
            raise Malformed(f"a buffer of {size} bytes at {offset} is not there")
        if compressed and size:
            if size < 8:
                raise Malformed("a compressed buffer does not say its size")
            (said,) = struct.unpack_from("<q", body, offset)
            size = size if said == -1 else said
        if not 0 <= size <= left - total:
            raise Malformed(f"it would be larger than it may be ({left - total} bytes are left, {size} asked for)")
        total += size
    return total


def _within(table: pa.Table, most: int) -> pa.Table:
    """The table, in one piece; refused where writing it out takes more than it may."""
    try:
        size = tables.size(table)
        if size <= most:
            return table.combine_chunks()
    except (pa.ArrowException, MemoryError, OverflowError, ValueError) as error:
        raise ClientRefused("malformed", f"the table cannot be kept ({_line(error)})", _AGAIN) from error
    raise ClientRefused("large", f"the table takes {size} bytes, and {most} are allowed", "send it in parts")


def _must_be_alike(rows: Sequence[Mapping[str, Any]]) -> None:
    """What a row has and the first has not, pyarrow would leave out without a word."""
    for number, row in enumerate(rows, 1):
        if row.keys() != rows[0].keys():
            other = [f"no {_short(key)}" for key in rows[0] if key not in row]
            other += [f"{_short(key)} too" for key in row if key not in rows[0]]
            said = ", ".join(other[:_NAMED]) + (" and more" if len(other) > _NAMED else "")
            raise ClientRefused(
                "malformed", f"row {number} has other keys than row 1: {said}",
                "give all rows the same keys, with null where there is nothing",
            )  # fmt: skip


def _must_not_swell(rows: Sequence[Mapping[str, Any]]) -> None:
    """In a table each row, and each item of a list, has every field that one of them has: count that beforehand."""
    waiting: list[tuple[int, Sequence[Any]]] = [(len(rows), rows)]
    fields, values = -1, -len(rows)
    while waiting:
        length, known = waiting.pop()
        fields, values = fields + 1, values + length
        if fields > FIELDS or values > VALUES:
            most = f"{FIELDS} fields and {VALUES} values, nested ones and those that are missing counted"
            raise ClientRefused("large", f"rows of JSON may have {most}", "send them in parts, or as Arrow")
        inner, items = defaultdict[str, list[Any]](list), list[Any]()
        for value in known:
            if isinstance(value, dict):
                for key, part in value.items():
                    inner[key].append(part)
            elif isinstance(value, list):
                items += value
        waiting += [(length, parts) for parts in inner.values()]
        if items:
            waiting.append((len(items), items))


def _must_be_plain(schema: pa.Schema) -> None:
    """Extension types are refused: reading one may run code that a library of the receiver brought."""
    fields = list(schema)
    while fields:
        field = fields.pop()
        kind = field.type
        if isinstance(kind, pa.BaseExtensionType) or _EXTENSION in (field.metadata or {}):
            raise ClientRefused("malformed", f"the column {field.name!r} is of an extension type", "send its storage")
        if isinstance(kind, pa.DictionaryType):
            fields.append(pa.field(field.name, kind.value_type))
        elif kind.num_fields:
            fields += [kind.field(index) for index in range(kind.num_fields)]


def _pair(data: memoryview, at: int) -> tuple[int, int]:
    if at + 8 > len(data):
        raise Malformed("it ends within a message")
    first, second = struct.unpack_from("<II", data, at)
    return first, second


def _short(key: str) -> str:
    return repr(key if len(key) <= 40 else f"{key[:40]}…")


def _line(error: BaseException) -> str:
    """The first line of what an error says, cut short."""
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:200]
