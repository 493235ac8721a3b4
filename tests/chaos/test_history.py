from __future__ import annotations

import os

from tests.chaos.history import Answered, Applied, Called, Followed, Kept, Left, Published, Refused, Tried, read, tell

ALL = [
    Tried(1.0, "a/0/0", "a", "key-1", 2),
    Kept(1.5, "a/0/0"),
    Refused(2.0, "a/0/1", "OutboxFull"),
    Applied(1, "a/0/0"),
    Left("a", 0, 2, 1),
    Published(3.0, "model", 7),
    Followed(3.5, "b", "model", 7, "ab12"),
    Called(4.0, "near/1", True),
    Answered(4.1, "near/1", "Cut"),
]


def test_what_is_told_is_read() -> None:
    reading, telling = os.pipe()
    for event in ALL:
        tell(telling, event)
    os.close(telling)
    with os.fdopen(reading) as pipe:
        assert read(pipe.read()) == ALL


def test_a_torn_line_was_not_told() -> None:
    assert read('["Kept", 1.0, "a/0/0"]\n["Kept", 2.0, "a/') == [Kept(1.0, "a/0/0")]
