"""A program like `guarded`: who has read what, whichever thread it was and whoever's turn it is; and who releases."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import ray

import tests.guard.guarded as at
from tests.guard.guarded import attempt, elsewhere, ready
from tierflow.errors import StayRefused
from tierflow.runtime.guard import leaving
from tierflow.sdk.releasing import releasing


def in_a_thread(call: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


@ray.remote
def reads(frame: Any) -> None:
    return None


@ray.remote
def reads_in_a_thread(refs: Any) -> Any:
    return in_a_thread(lambda: ray.get(refs[0])[:3].tolist())


@ray.remote
def innocent() -> Any:
    return in_a_thread(lambda: ray.put("innocent"))


@ray.remote
def ends_in_our_error(frame: Any) -> None:
    try:
        raise ValueError(at.SECRET)
    except ValueError as error:
        ours = StayRefused("a frame", "gw-1 asked for it", "cam-1", "do")
        ours.add_note(str(error))
        raise ours from error


class Breaks:
    """It cannot be unpickled."""

    def __reduce__(self) -> Any:
        return _broken, (at.SECRET,)


def _broken(text: str) -> None:
    raise ValueError(f"cannot read {text}")


class Camera:
    """What its methods release they release to others, not to one another."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def total(self) -> int:
        return int(self.frame.sum())

    def twice(self) -> int:
        return 2 * self.total()

    def said(self) -> str:
        return f"{self.total()}"

    def each(self) -> Iterator[int]:
        leaving("an outbox")
        yield 1
        yield self.total()


def releasing_camera() -> Any:
    """As `actor_body` makes them."""
    released = ("total", "said", "each")
    members = {name: releasing(vars(Camera)[name], "count", name) for name in released}
    return type("Released", (Camera,), members)


def main() -> None:
    frame = at.frame()
    found: dict[str, Any] = {}
    ray.get(reads.remote(frame))
    found["in a thread"] = elsewhere(ready(reads_in_a_thread.remote([frame])))
    ray.get(reads.remote(frame))
    found["innocent"] = elsewhere(ray.get(innocent.remote()))
    found["our error"] = attempt(lambda: ray.get(ends_in_our_error.remote(frame)))
    found["unpickling"] = attempt(lambda: ray.get(reads.remote(ray.put(at.Sealed(Breaks(), "device")))))
    camera = ray.remote(releasing_camera()).options(num_cpus=0).remote(frame)
    total = sum(range(1000))
    found["released"] = ray.get(camera.total.remote()) == total
    found["by itself"] = elsewhere(ready(camera.twice.remote()))
    found["said"] = ray.get(camera.said.remote()) == str(total)
    items = camera.each.options(num_returns="streaming").remote()
    found["items"] = [ray.get(item) for item in items] == [1, total]
    found["is there"] = attempt(lambda: ray.get(camera.__ray_ready__.remote()))
    print(json.dumps(found))


if __name__ == "__main__":
    at.start()
    main()
