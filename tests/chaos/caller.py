"""A program on a device of the fabric that never stops calling: the model of its site, and the clerk in the cloud.

``python -m tests.chaos.caller make FIFO`` makes both actors and the inbox; ``call FIFO`` finds them. Each call is told
before it is made and when it has ended, into the FIFO.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import ray

import tierflow
from tests.chaos.history import Answered, Called, now, tell
from tests.chaos.roles import BOX

SPACE = "chaos"
KEPT = {"namespace": SPACE, "lifetime": "detached", "max_restarts": -1, "num_cpus": 0}
EVERY = {"model": 0.2, "clerk": 0.5}


@tierflow.actor(node="gw-1", name="model", **KEPT)
class Model:
    """What the site's devices ask."""

    def answer(self, number: int) -> int:
        return number


@tierflow.actor(node="cloud-1", name="clerk", **KEPT)
class Clerk:
    """What is asked across the uplink."""

    def answer(self, number: int) -> int:
        return number


def call(name: str, told: int) -> None:
    """Call an actor for ever."""
    number = 0
    actor = None
    while True:
        number += 1
        made = f"{name}/{os.getpid()}/{number}"
        tell(told, Called(now(), made, False))
        try:
            actor = actor or ray.get_actor(name, namespace=SPACE)
            right = tierflow.get(actor.answer.remote(number)) == number
            error = "" if right else "another answer"
        except Exception as raised:
            error = type(raised).__name__
        tell(told, Answered(now(), made, error))
        time.sleep(EVERY[name])


def main(what: str, fifo: str) -> None:
    """See the module."""
    tierflow.init(log_to_driver=False)
    if what == "make":
        tierflow.Inbox(BOX, node="cloud-1").read()
        tierflow.get([actor.answer.remote(0) for actor in (Model.remote(), Clerk.remote())])
        return
    told = os.open(fifo, os.O_WRONLY)
    threads = [threading.Thread(target=call, args=(name, told)) for name in EVERY]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
