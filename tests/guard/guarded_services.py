"""A program on a Ray of this machine whose tasks have read what may not leave, and then use the fabric's own actors.

It is run by `test_guard_services` in a process of its own. The argument is a folder for the nodes' keys; what comes out
is a line of JSON. "cloud-1" are workers of the same Ray that have that node's keys.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(sys.argv[1])
os.environ["TIERFLOW_NODE"] = str(ROOT / "cam-1")

import numpy as np  # noqa: E402
import ray  # noqa: E402

import tierflow  # noqa: E402
from tierflow.planning import Request  # noqa: E402
from tierflow.runtime.described import described  # noqa: E402
from tierflow.runtime.guard import Sealed  # noqa: E402
from tierflow.runtime.observe import observed  # noqa: E402
from tierflow.runtime.scope import keep_site_secret  # noqa: E402
from tierflow.runtime.standby import other_try, stand  # noqa: E402
from tierflow.runtime.work import Work  # noqa: E402
from tierflow.sdk.body import actor_body, task_body  # noqa: E402

HERE: dict[str, Any] = {"runtime_env": {"env_vars": {"TIERFLOW_NODE": str(ROOT / "cam-1")}}}
ELSEWHERE: dict[str, Any] = {"runtime_env": {"env_vars": {"TIERFLOW_NODE": str(ROOT / "cloud-1")}}}
LABELS = {"tierflow.io/tier": "device", "tierflow.io/site": "plant-1", "tierflow.io/node": "cam-1"}
NAME = "guarded"


class Faraway(dict[str, str]):
    """Names of nodes, to a caller who is on none of them."""

    def get(self, *_: Any) -> str:  # type: ignore[override]
        return ""


def attempt(call: Any) -> str:
    try:
        return repr(call())
    except Exception as error:
        return f"{type(error).__name__} {error}"


def label(ref: Any, names: Any) -> str:
    seen = described(ref, names)
    return f"{seen.kind} {seen.stay}"


def publishes(frame: Any, value: str) -> Any:
    return attempt(lambda: tierflow.publish(NAME, value))


def keeps(frame: Any) -> Any:
    return attempt(lambda: tierflow.Outbox(NAME).put("record"))


def reads(frame: Any) -> Any:
    inbox = tierflow.Inbox(NAME)
    return [attempt(lambda: inbox.read(0, 10)), attempt(lambda: inbox.forget(1))]


def folds(frame: Any) -> Any:
    return attempt(lambda: tierflow.Inbox(NAME).fold(lambda total, record: total + 1, 0, name="count"))


def outcome(frame: Any, told: Any) -> Any:
    """What a function that is not to release anything has said, as a file on its node."""
    (ROOT / "told").write_text(json.dumps(told(frame)))


def released(function: Any, *args: Any) -> Any:
    return ray.get(ray.remote(task_body(function, releases="word")).remote(FRAME, *args))


def kept(function: Any) -> Any:
    ray.get(ray.remote(outcome).remote(FRAME, function))
    return json.loads((ROOT / "told").read_text())


@ray.remote(num_cpus=0)
def version_elsewhere() -> str:
    publisher = ray.get_actor(f"publish/{NAME}", namespace="tierflow")
    return repr(ray.get(publisher.beyond.remote(0, 1.0)).version)


@ray.remote(num_cpus=0)
def records_elsewhere() -> str:
    inbox = ray.get_actor(f"inbox/{NAME}", namespace="tierflow")
    return repr(ray.get(inbox.read.remote(0, 10)))


class Keeper:
    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def size(self) -> int:
        return len(self.frame)

    def pid(self) -> int:
        return os.getpid()


@ray.remote(num_cpus=0)
def stands(frames: Any) -> list[str]:
    """What a program elsewhere sees of an actor that was made of a labelled value and has a stand-in."""
    ray_id = ray.get_runtime_context().get_node_id()
    body = actor_body(Keeper, "Keeper", releases={"size": "size", "pid": "pid"})
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, **HERE}
    work = Work(body, Keeper, Request("Keeper"), options)

    def start(work: Work, args: Any, kwargs: Any) -> Any:
        return ray.remote(work.body).options(**work.options).remote(*args, **kwargs)

    handle = stand(start, {ray_id: "cam-1"}, work, (frames[0],), {})
    found = [attempt(lambda: ray.get(handle.size.remote()))]
    handle._stands_in = True
    ref = handle.size.remote()
    found.append(attempt(lambda: ray.get(ref))[:60])
    other = other_try(ref)
    found.append(attempt(lambda: ray.get(other)))
    os.kill(ray.get(handle.pid.remote()), 9)
    found += [until_it_answers(handle), until_it_answers(handle)]
    work = Work(body, Keeper, Request("Keeper"), {**options, "max_restarts": 0})
    handle = stand(start, {ray_id: "cam-1"}, work, (frames[0],), {})
    os.kill(ray.get(handle.pid.remote()), 9)
    return [*found, until_it_answers(handle)]  # its stand-in, as nobody starts it again


def until_it_answers(handle: Any) -> str:
    """As `tierflow.get` changes over between an actor and its stand-in."""
    ref = handle.size.remote()
    while True:
        answer = attempt(functools.partial(ray.get, ref))
        ref = other_try(ref)
        if ref is None:
            return answer
        time.sleep(0.05)


def packs(frame: Any) -> Any:
    from tierflow.runtime.guard import release

    def made() -> Any:
        return release(np.zeros(1 << 17), "zeros")

    told: Any = observed(made, made, ())[1]
    return [codec.name for codec in told.value[5]]


def main() -> None:
    names = Faraway({ray.get_runtime_context().get_node_id(): "cam-1"})
    plain = ray.put(np.zeros(1 << 17))
    found: dict[str, Any] = {
        "described": [attempt(functools.partial(label, ref, names)) for ref in (plain, FRAME)],
        "packs": released(packs),
        "published": [released(publishes, "one"), released(publishes, "two")],
        "version elsewhere": ray.get(version_elsewhere.options(**ELSEWHERE).remote()),
        "outbox": [released(keeps), kept(keeps)],
        "read": kept(reads),
        "records elsewhere": ray.get(records_elsewhere.options(**ELSEWHERE).remote()),
        "fold": [released(folds), kept(folds)],
        "given a label": attempt(lambda: tierflow.Inbox(NAME).fold(max, FRAME, name="of a frame")),
        "records afterwards": ray.get(records_elsewhere.options(**ELSEWHERE).remote()),
        "stand-in": ray.get(stands.options(**ELSEWHERE).remote([FRAME])),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    for node, site in (("cam-1", "plant-1"), ("cloud-1", "region-1")):
        keep_site_secret(ROOT / node, site, site.encode().ljust(32))
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray.init(
        num_cpus=2, labels=LABELS, include_dashboard=False, object_store_memory=1 << 28, _temp_dir=str(ROOT),
        log_to_driver=False,
    )  # fmt: skip
    FRAME = ray.put(Sealed(np.arange(1000.0), "device"))
    main()
