"""Read rows out of a damaged SQLite database: from each page by itself, whatever became of the tree that joined them.

The formats of a page, of a row and of the write-ahead log are at https://www.sqlite.org/fileformat2.html. What is
found may be damaged, or have been deleted before: a row says by its digest whether it is whole (see `table.Table`).
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["PAGE", "Value", "carve", "committed"]

PAGE = 4096
"""Bytes of a page in every database that is made here."""
Value = int | str | bytes | float | None

_LEAF, _WAL_HEAD, _FRAME_HEAD, _FILE_HEAD = 13, 32, 24, 100
_KINDS = {0, 2, 5, 10, 13}
"""First bytes of whole pages: overflow and free pages, then trees. Any other has been changed."""
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST_COLUMNS = 64


def carve(database: bytes, log: bytes) -> Iterator[tuple[Value, ...]]:
    """Each row that a page of the database or of its write-ahead log holds, its row id first; a row may come twice.

    A row that is nonsense is passed over where that shows; otherwise its digest will say so.
    """
    pages = dict(enumerate(_cut(database), 1))
    frames = [
        (int.from_bytes(log[at : at + 4]), log[at + _FRAME_HEAD : at + _FRAME_HEAD + PAGE])
        for at in range(_WAL_HEAD, len(log) - _FRAME_HEAD, _FRAME_HEAD + PAGE)
    ]
    latest = {**pages, **{number: page for number, page in frames if len(page) == PAGE}}
    for number, page in [*pages.items(), *frames]:
        yield from _rows(page, _FILE_HEAD if number == 1 else 0, latest)
        if latest.get(number) is not page:  # an older copy of a page may have its overflow in older copies too
            yield from _rows(page, _FILE_HEAD if number == 1 else 0, pages)


def committed(log: bytes) -> bytes:
    """A write-ahead log up to the last frame that ended a transaction: what follows was never acknowledged.

    Frames of an earlier use of the file have other salts. Where its head is damaged, all of it is taken.
    """
    end = len(log)
    for at in range(_WAL_HEAD, len(log) - _FRAME_HEAD, _FRAME_HEAD + PAGE):
        if log[at + 8 : at + 16] == log[16:24] and log[at + 4 : at + 8] != bytes(4):
            end = at + _FRAME_HEAD + PAGE
    return log[:end]


def _cut(database: bytes) -> Iterator[bytes]:
    for at in range(0, len(database), PAGE):
        yield database[at : at + PAGE].ljust(PAGE, b"\0")


def _rows(page: bytes, head: int, pages: dict[int, bytes]) -> Iterator[tuple[Value, ...]]:
    if len(page) < PAGE:
        return
    if page[head] == _LEAF:
        count = min(int.from_bytes(page[head + 3 : head + 5]), (PAGE - head - 8) // 2)
        starts = [int.from_bytes(page[at : at + 2]) for at in range(head + 8, head + 8 + 2 * count, 2)]
    elif page[head] not in _KINDS:
        starts = list(range(head, PAGE))
    else:
        return
    for start in starts:
        try:
            yield _row(page, start, pages)
        except (ValueError, IndexError, KeyError, OverflowError):
            continue


def _row(page: bytes, start: int, pages: dict[int, bytes]) -> tuple[Value, ...]:
    size, at = _varint(page, start)
    row_id, at = _varint(page, at)
    if not 0 < size < 1 << 31:
        raise ValueError(size)
    columns = list(_columns(_payload(page, at, size, pages)))
    return (row_id, *columns[1:]) if columns and columns[0] is None else (row_id, *columns)  # an id is kept as NULL


def _payload(page: bytes, at: int, size: int, pages: dict[int, bytes]) -> bytes:
    """The bytes of a row: in the page as far as it keeps them, the rest in a chain of overflow pages."""
    local = size
    if size > PAGE - 35:
        least = (PAGE - 12) * 32 // 255 - 23
        local = least + (size - least) % (PAGE - 4)
        local = local if local <= PAGE - 35 else least
    parts, left = [page[at : at + local]], size - local
    if len(parts[0]) != local:
        raise ValueError(at)
    following = int.from_bytes(page[at + local : at + local + 4])
    while left > 0:
        further = pages[following]
        parts.append(further[4 : 4 + min(left, PAGE - 4)])
        left -= len(parts[-1])
        following = int.from_bytes(further[:4])
    return b"".join(parts)


def _columns(data: bytes) -> Iterator[Value]:
    head, at = _varint(data, 0)
    kinds = []
    while at < head:
        kind, at = _varint(data, at)
        kinds.append(kind)
    if len(kinds) > _MOST_COLUMNS or at != head:
        raise ValueError(head)
    for kind in kinds:
        value, at = _value(data, at, kind)
        yield value
    if at != len(data):
        raise ValueError(at)


def _value(data: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    size = _INTEGERS[kind] if kind < 7 else (kind - 12) // 2
    part = data[at : at + size]
    if kind in (7, 10, 11) or len(part) != size:
        raise ValueError(kind)
    at += size
    if kind < 7:
        return int.from_bytes(part, signed=True), at
    return (part.decode() if kind % 2 else part), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | data[place] & 127
        if data[place] < 128:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9
