"""Streams over a slow link: made, sent and worked on at once; bounded in bytes; stopped by their reader; never hung."""

from __future__ import annotations

import json

import pytest

from tests.fabric.conftest import Driver
from tests.fabric.test_cuts import SLACK, whole

__all__ = ["whole"]

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("measured", "whole")]

PROGRAM = """
    import json, os, time
    import numpy as np, tierflow
    from tierflow.rig import LinkControl
    links = LinkControl(os.environ["TIERFLOW_RIG"])
    SIZE, COUNT, WORK = 500_000, 10, 0.25
    log = f"{__file__}.log"
    def frames(count, pause):
        "Batches of noise; the log says when each was made."
        noise = np.frombuffer(np.random.default_rng(0).bytes(SIZE), np.uint8)
        try:
            for number in range(count):
                time.sleep(pause)
                with open(log, "a") as file: print(number, file=file)
                yield noise + np.uint8(number)
        finally:
            with open(log, "a") as file: print("end", file=file)
    camera = tierflow.task(node="cam-1", num_cpus=0, ahead="2 MB")(frames)
    @tierflow.actor(node="gw-1", num_cpus=0, ahead="2 MB")
    class Camera:
        def frames(self, count): yield from frames(count, 0)
        def numbers(self): yield from range(1000)
        def here(self): return "here"
    def made(): return [line.strip() for line in open(log)] if os.path.exists(log) else []
    def ended(within=10):
        "How many were made before the generator ended, if it did; forgets it all."
        until = time.monotonic() + within
        while "end" not in made() and time.monotonic() < until: time.sleep(.01)
        found = made()
        if found: os.remove(log)
        return len(found) - 1 if found[-1:] == ["end"] else None
    def timed(call):
        began = time.monotonic()
        call()
        return round(time.monotonic() - began, 2)
    def work(batches):
        for _ in batches: time.sleep(WORK)
    def until_cut(batches, read):
        began = time.monotonic()
        try:
            while True: read.append(next(batches))
        except tierflow.Cut as error:
            return [round(time.monotonic() - began, 2), list(error.nodes)]
    tierflow.init(log_to_driver=False)
    found = {}
    actor = Camera.remote()
    list(tierflow.stream(camera.remote(2, 0))), tierflow.get(actor.here.remote()), ended()
    found["sent"] = timed(lambda: list(tierflow.stream(camera.remote(COUNT, 0))))
    found["together"] = timed(lambda: work(tierflow.stream(camera.remote(COUNT, WORK))))
    found["apart"] = found["sent"] + 2 * COUNT * WORK
    ended()
    batches = tierflow.stream(camera.remote(COUNT, 0), ahead="1 MB")
    next(batches)
    time.sleep(1.5)
    found["ahead"] = len(made())
    found["closed"] = [timed(batches.close), ended()]
    batches = tierflow.stream(actor.frames.remote(COUNT), ahead="1 MB")
    next(batches)
    del batches
    found["dropped"] = [tierflow.get(actor.here.remote(), timeout=10), ended()]
    batches, numbers = tierflow.stream(camera.remote(12, 0.1)), tierflow.stream(actor.numbers.remote())
    read, counted = [next(batches)], [next(numbers)]
    links.cut("plant-1")
    found["cut"], found["actor cut"] = until_cut(batches, read), until_cut(numbers, counted)
    links.heal("plant-1")
    until = time.monotonic() + 20
    while len(read) < 12 and time.monotonic() < until:
        try: read.append(next(batches))
        except tierflow.Cut: time.sleep(.1)
    found["healed"] = [int(batch[0]) - int(read[0][0]) & 255 for batch in read]
    found["counted"] = counted == list(range(len(counted)))
    print(json.dumps(found))
    os._exit(0)
"""


def test_streams_overlap_are_bounded_stop_and_end_in_a_cut(drive: Driver) -> None:
    done = drive(PROGRAM, timeout=80)
    assert done.stdout.strip(), done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["together"] < 0.75 * found["apart"]  # made, sent and worked on one after the other
    assert found["ahead"] <= 1 + 2 + 4 + 1  # read, fetched, waiting there, and one that is held
    assert found["closed"][0] < 1
    assert found["closed"][1] <= found["ahead"] + 1
    assert found["dropped"][0] == "here"
    assert found["dropped"][1] < 10
    assert [found["cut"][1], found["actor cut"][1]] == [["cam-1"], ["gw-1"]]
    assert max(found["cut"][0], found["actor cut"][0]) < 3 + SLACK
    assert found["healed"] == list(range(12))
    assert found["counted"]
