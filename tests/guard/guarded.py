"""A program on a Ray of this machine, some of whose workers take themselves for another node: what leaves, and how.

It is run by `test_guard` in a process of its own, because Ray is watched there from the first label on. The argument is
a folder for the nodes' keys; what comes out is a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

# Workers that import this have arguments of their own, and are perhaps told that they are elsewhere.
ROOT = Path(os.environ.setdefault("GUARDED", sys.argv[1]))
os.environ.setdefault("TIERFLOW_NODE", str(ROOT / "cam-1"))

import numpy as np  # noqa: E402
import ray  # noqa: E402

from tierflow.runtime import hook, taint  # noqa: E402
from tierflow.runtime.guard import Sealed, release  # noqa: E402
from tierflow.runtime.scope import keep_site_secret  # noqa: E402

SECRET = "SECRET" * 4
ELSEWHERE: dict[str, Any] = {"runtime_env": {"env_vars": {"TIERFLOW_NODE": str(ROOT / "cloud-1")}}}


@ray.remote
def shown(value: Any = None, *, named: Any = None) -> str:
    return repr(value if named is None else named)[:40]


@ray.remote(num_returns=2)
def two(frame: Any) -> Any:
    return frame[:1], release((1, 2), "numbers")


@ray.remote
def two_released(frame: Any) -> Any:
    return release((1, 2), "numbers")


@ray.remote
def plain() -> tuple[bool, bool]:
    return hook._installed.is_set(), taint.now() is None


@ray.remote
def fails(frame: Any) -> None:
    raise ValueError(SECRET)


@ray.remote
def references(frame: Any) -> Any:
    return [ray.put(frame)], shown.remote(1)


@ray.remote
def by_default(frame: Any) -> Any:
    words = [SECRET]

    def f(at: int = 0, held: Any = words) -> str:
        return str(held[at])

    return release(attempt(lambda: ray.get(ray.remote(f).options(**ELSEWHERE).remote())), "outcome")


@ray.remote
def by_class(frame: Any) -> Any:
    class Kept:
        words: Any = None

        @property
        def first(self) -> str:
            return str(self.words[0])

        def say(self) -> str:
            return self.first

    Kept.words = [SECRET]
    return release(attempt(lambda: ray.get(ray.remote(Kept).options(**ELSEWHERE).remote().say.remote())), "outcome")


@ray.remote
def by_attribute(frame: Any) -> Any:
    def f() -> str:
        return str(vars(f)["words"][0])

    vars(f)["words"] = [SECRET]
    return release(attempt(lambda: ray.get(ray.remote(f).options(**ELSEWHERE).remote())), "outcome")


@ray.remote
def code_alone(frame: Any) -> Any:
    """Code that holds nothing is nobody's data."""

    class Plain:
        limit = 3

        @staticmethod
        def twice(at: int = 2) -> int:
            return 2 * at

        @classmethod
        def most(cls) -> int:
            return cls.limit

        def say(self) -> int:
            return self.twice() + self.most() + len(np.zeros(1))

    return release(ray.get(ray.remote(Plain).options(**ELSEWHERE).remote().say.remote()), "a number")


@ray.remote
def empty_handed(frame: Any) -> Any:
    """None, references, and the names of arguments are nobody's data."""
    return release(ray.get([
        shown.options(**ELSEWHERE).remote(named=None), shown.options(**ELSEWHERE).remote(None),
    ]), "what came back")  # fmt: skip


@ray.remote(max_concurrency=4)
class Threaded:
    def take(self, frame: Any) -> None:
        self.frame = frame

    def length(self) -> int:
        return len(self.frame)


@ray.remote
class Later:
    async def take(self, frame: Any) -> None:
        self.frame = frame

    async def length(self) -> int:
        await asyncio.sleep(0)
        return len(self.frame)


@ray.remote
class Made:
    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def length(self) -> int:
        return len(self.frame)


def attempt(call: Any) -> str:
    try:
        return repr(call())
    except Exception as error:
        return f"{type(error).__name__} {error}"


def elsewhere(ref: Any) -> str:
    return attempt(lambda: ray.get(shown.options(**ELSEWHERE).remote(ref)))


def ready(ref: Any) -> Any:
    ray.wait([ref], fetch_local=False)
    return ref


def actor(kind: Any) -> str:
    made = kind.remote()
    ray.get(made.take.remote(FRAME))
    return elsewhere(made.length.remote())


def main() -> None:
    found: dict[str, Any] = {"before": [*ray.get(plain.remote()), hook._installed.is_set()]}
    inner = ray.put([1])
    nested = ray.put(Sealed({"inner": inner, "frame": np.zeros(10)}, "device"))
    del inner
    one, other = two.remote(FRAME)
    listed, _ = ray.get(references.remote(FRAME))
    found |= {
        "elsewhere": elsewhere(FRAME),
        "of two": [elsewhere(one), elsewhere(other)],
        "of a released pair": elsewhere(two_released.remote(FRAME)),
        "after": ray.get(plain.remote()),
        "text": attempt(lambda: ray.get(fails.remote(FRAME))),
        "put": elsewhere(listed[0]),
        "by default": ray.get(by_default.remote(FRAME)),
        "by class": ray.get(by_class.remote(FRAME)),
        "by attribute": ray.get(by_attribute.remote(FRAME)),
        "code alone": attempt(lambda: ray.get(code_alone.remote(FRAME))),
        "empty handed": ray.get(empty_handed.remote(FRAME)),
        "threaded": actor(Threaded),
        "async": actor(Later),
        "made of it": elsewhere(Made.remote(FRAME).length.remote()),
        "untainted": elsewhere(SECRET),
    }
    found["kept alive"] = ray.get(ray.get(nested)["inner"])
    found["tainted"] = [elsewhere(SECRET), elsewhere(ray.put(np.zeros(3))), hook._installed.is_set()]
    print(json.dumps(found))


def start() -> None:
    for node, site in (("cam-1", "plant-1"), ("cloud-1", "region-1")):
        keep_site_secret(ROOT / node, site, site.encode().ljust(32))
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=1 << 28, _temp_dir=str(ROOT), log_to_driver=False)


def frame() -> Any:
    return ray.put(Sealed(np.arange(1000.0), "device"))


if __name__ == "__main__":
    start()
    FRAME = frame()
    main()
