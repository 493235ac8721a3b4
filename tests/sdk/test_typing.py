"""Type checkers keep the signature of what was decorated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

USER = """
from collections.abc import AsyncIterator, Iterator
import tierflow

@tierflow.task
def detect(frame: bytes, limit: float = 0.5) -> list[str]: ...
@tierflow.task(tier="edge", num_cpus=2)
def tuned(frame: bytes) -> int: ...
@tierflow.task
async def fetch(url: str) -> bytes: ...
@tierflow.task
def frames(n: int) -> Iterator[bytes]: ...
@tierflow.task
async def stream(n: int) -> AsyncIterator[bytes]:
    yield b""
@detect.variant(accuracy=0.9, num_cpus=1)
def small(frame: bytes, limit: float = 0.5) -> list[str]: ...
@tierflow.task(deadline="50 ms", minimise={"latency": 1, "money": 50}, stay="site", order=("edge", "cloud"))
def kept(frame: bytes) -> int: ...

reveal_type(detect(b""))
reveal_type(detect.remote(b"", limit=0.1))
reveal_type(tuned.options(tier=("edge", "cloud")).remote(b""))
reveal_type(fetch.remote("x"))
reveal_type(tierflow.get(fetch.remote("x")))
reveal_type(frames.remote(3))
reveal_type(stream.remote(3))
reveal_type(tierflow.stream(frames.remote(3)))
reveal_type(next(tierflow.stream(stream.remote(3))))
reveal_type(detect.remote(fetch.remote("x")))
reveal_type(small.remote(b"", limit=0.1))
reveal_type(kept.remote(b""))
reveal_type(tierflow.get([tuned.remote(b"")]))

class Plain:
    def __init__(self, size: int) -> None: ...
    def score(self, x: float) -> float: ...
Model = tierflow.actor(Plain)
reveal_type(Model(3))
reveal_type(Model.remote(3))
reveal_type(Model.remote(3).score.remote(1.0))
reveal_type(tierflow.placement(Model.remote(3)).tier)

@tierflow.actor
class Bare:
    def __init__(self, size: int) -> None: ...
@tierflow.actor(tier="edge")
class Tuned:
    limit = 3
    def score(self, x: float) -> float: ...
reveal_type(Bare.remote(3))
reveal_type(Bare.options(num_cpus=1).remote(3))
reveal_type(Tuned.remote())
reveal_type(Tuned().score(1.0))
reveal_type(Tuned.limit)

detect(3)  # wrong
tierflow.stream(detect.remote(b""))  # wrong
detect.remote(3)  # wrong
detect.remote()  # wrong
tuned.options(tier="edge").remote("x")  # wrong
fetch.remote(b"")  # wrong
Model("x")  # wrong
Model.remote("x")  # wrong
Bare.remote("x")  # wrong
Bare.options(num_cpus=1).remote("x")  # wrong
tierflow.task(tier=3)  # wrong
tierflow.task(stay="home")  # wrong
tierflow.task(minimise="speed")  # wrong
tierflow.actor(deadline=[1])  # wrong
detect.variant()  # wrong
detect.variant(accuracy="high")  # wrong
small.remote(3)  # wrong
@detect.variant(accuracy=0.9)  # wrong
def other(frame: bytes) -> list[str]: ...
@detect.variant(accuracy=0.9)  # wrong
def another(frame: bytes, limit: float = 0.5) -> int: ...
"""

REVEALED = [
    "list[str]",
    "ObjectRef[list[str]]",
    "ObjectRef[int]",
    "ObjectRef[bytes]",
    "bytes",
    "ObjectRefGenerator[bytes]",
    "ObjectRefGenerator[bytes]",
    "Stream[bytes]",
    "bytes",
    "ObjectRef[list[str]]",
    "ObjectRef[list[str]]",
    "ObjectRef[int]",
    "list[int]",
    "Plain",
    "Handle[Plain]",
    "Any",
    "str",
    "Handle[Bare]",
    "Handle[Bare]",
    "Handle[Tuned]",
    "float",
    "int",
]


def test_mypy_sees_through_the_decorators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mypy import api

    program = tmp_path / "user.py"
    program.write_text(USER)
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nplugins = tierflow.sdk.mypy\n")
    root = Path(__file__).parents[2]
    monkeypatch.setenv("MYPYPATH", str(root))
    flags = ["--strict", "--disable-error-code=empty-body", f"--cache-dir={root / '.mypy_cache' / 'user'}"]
    said, problems, _ = api.run([*flags, f"--config-file={settings}", "--follow-imports=silent", str(program)])
    assert problems == ""
    revealed = re.findall(r'Revealed type is "(.*)"', said)
    assert [re.sub(r"\b(\w+\.)+", "", kind) for kind in revealed] == REVEALED, said
    wrong = [number for number, line in enumerate(USER.splitlines(), 1) if line.endswith("# wrong")]
    assert sorted({int(number) for number in re.findall(r"user\.py:(\d+): error", said)}) == wrong, said
