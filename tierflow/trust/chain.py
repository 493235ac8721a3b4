"""Lines of which each holds the digest of the one before: none can be altered or left out without the next one showing.

Who can write the file can write it anew from some line on. Against that stands what was seen of it before: how many
lines there were, and the digest of the last one (`End`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["End", "broken", "end_of", "linked"]

NUMBER, BEFORE = "n", "before"


@dataclass(frozen=True, slots=True)
class End:
    """How many lines there were, and the digest of the last one."""

    lines: int = 0
    digest: str = ""


def linked(entry: Mapping[str, Any], end: End) -> bytes:
    """The next line, without its end of line."""
    return json.dumps({NUMBER: end.lines + 1, **entry, BEFORE: end.digest}).encode()


def end_of(line: bytes) -> End:
    """The end of a file whose last line this is; the beginning where it is none of ours."""
    try:
        return End(int(json.loads(line)[NUMBER]), hashlib.sha256(line).hexdigest())
    except (ValueError, KeyError, TypeError):
        return End()


def broken(lines: Sequence[bytes], seen: Iterable[End] = ()) -> str | None:
    """What is wrong with the lines of a file, held against ends that were seen of it; None if nothing is."""
    ends = [End()]
    for number, line in enumerate(lines, 1):
        end = end_of(line)
        if end.lines == 0:
            return f"line {number} is not whole"
        if json.loads(line).get(BEFORE) != ends[-1].digest or end.lines != number:
            return f"line {number} does not follow from the one before it: one was altered, or is missing"
        ends.append(end)
    for known in seen:
        if known.lines >= len(ends):
            return f"it was cut off: it had {known.lines} lines, and now has {len(lines)}"
        if known.lines and ends[known.lines] != known:
            return f"line {known.lines} is another than it was"
    return None
