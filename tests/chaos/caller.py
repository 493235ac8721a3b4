"""A program on a device of the fabric that never stops calling: the model of its site, and the clerk in the cloud. And
it publishes a new version of the model time and again, which the cloud keeps.

``python -m tests.chaos.caller make FIFO`` makes both actors, the inbox and the first version; ``call FIFO`` finds them.
Each call is told before it is made and when it has ended, into the FIFO; a version is told when it is acknowledged.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress

import ray

import tierflow
from tests.chaos.history import Answered, Called, Published, now, tell
from tests.chaos.roles import BASE, BOX, MODEL

SPACE = "chaos"
KEPT = {"namespace": SPACE, "lifetime": "detached", "max_restarts": -1, "num_cpus": 0}
EVERY = {"model": 0.2, "clerk": 0.5}
PUBLISH_EVERY = 1.5


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


def publish(told: int) -> None:
    """Publish versions for ever."""
    number = 0
    while True:
        number += 1
        with suppress(Exception):  # what is not acknowledged may have been published all the same
            version = tierflow.publish(MODEL, BASE + f"{os.getpid()}/{number}".encode())
            tell(told, Published(now(), MODEL, version))
        time.sleep(PUBLISH_EVERY)


def main(what: str, fifo: str) -> None:
    """See the module."""
    tierflow.init(log_to_driver=False)
    if what == "make":
        tierflow.Inbox(BOX, node="cloud-1").read()
        tierflow.publish(MODEL, BASE, node="cloud-1")
        tierflow.get([actor.answer.remote(0) for actor in (Model.remote(), Clerk.remote())])
        return
    told = os.open(fifo, os.O_WRONLY)
    threads = [threading.Thread(target=call, args=(name, told)) for name in EVERY]
    for thread in (*threads, threading.Thread(target=publish, args=(told,))):
        thread.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
