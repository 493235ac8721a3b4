"""An actor that crashes inside a cut part goes on there, in its stand-in, and is one actor again after the heal."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.fabric.conftest import Driver
from tests.fabric.test_cuts import whole
from tierflow.rig import Rig
from tierflow.runtime.standby import TRIES

__all__ = ["whole"]

pytestmark = pytest.mark.namespace

COUNTER = """
    import json, os, time
    import ray, tierflow
    from tierflow.rig import LinkControl
    links = LinkControl(os.environ["TIERFLOW_RIG"])
    @tierflow.actor(node="cam-1", num_cpus=0, stand_in=True, max_task_retries=-1)
    class Counter:
        def __init__(self): self.count = 0
        def next(self): self.count += 1; return os.getpid(), self.count
        def crash(self): os._exit(1)
"""
PROGRAM = (
    COUNTER
    + """
    @tierflow.task(site="plant-1", num_cpus=0)
    def echo(x): return x
    @tierflow.actor(node="gw-1", num_cpus=0)
    class Caller:
        def __init__(self, counter): self.counter, self.first = counter, counter._first
        def run(self, seconds, crash_after):
            "What the counter gave and when, and how calls of tasks went meanwhile."
            began, answers, errors, tasks, crashed = time.monotonic(), [], [], 0, crash_after is None
            while (now := time.monotonic() - began) < seconds:
                if not crashed and now > crash_after:
                    crashed = True
                    self.first.crash.remote()
                try: answers.append((round(now, 2), *tierflow.get(self.counter.next.remote())))
                except Exception as error: errors.append((round(now, 2), type(error).__name__))
                tasks += tierflow.get(echo.remote(1))
                time.sleep(.1)
            return answers, errors, tasks
    tierflow.init(log_to_driver=False)
    counter = Counter.remote()
    caller = Caller.remote(counter)
    answers, errors, tasks = tierflow.get(caller.run.remote(6, None))
    assert not errors, errors
"""
)


def test_a_crash_inside_a_cut_part_is_made_good_there_and_after_the_heal_there_is_one_actor(
    drive: Driver, rig: Rig, whole: None
) -> None:
    program = (
        PROGRAM
        + """
    running = caller.run.remote(28, 4)
    time.sleep(.5)
    links.cut("plant-1")
    time.sleep(12)
    links.heal("plant-1")
    healed = time.monotonic()
    answers, errors, tasks = ray.get(running, timeout=60)
    mine = [tierflow.get(counter.next.remote()) for _ in range(3)]
    theirs = tierflow.get(caller.run.remote(1, None))[0]
    print(json.dumps([answers, errors, tasks, mine, theirs]))
    os._exit(0)
    """
    )
    done = drive(program, timeout=150)
    assert done.stdout.strip(), done.stderr
    answers, errors, tasks, mine, theirs = json.loads(done.stdout.splitlines()[-1])
    times, pids, counts = zip(*answers, strict=True)
    assert errors == []
    assert tasks >= len(answers)
    assert max(b - a for a, b in pairwise(times)) < 8, times  # from the crash to the next answer
    lives = list(dict.fromkeys(pids))
    assert len(lives) == 3, lives  # itself, its stand-in, itself again; and never two at once
    assert [pids.index(pid) for pid in lives] == sorted(pids.index(pid) for pid in lives)
    first, second, third = ([count for pid, count in zip(pids, counts, strict=True) if pid == life] for life in lives)
    for row in (first, second, third):
        assert row == sorted(set(row))
    assert second[0] == 1  # what the process held went with it
    assert third[0] == second[-1] + 1  # what the stand-in held did not
    assert times[pids.index(lives[1])] < 12.5  # before the heal
    assert {pid for pid, _ in mine} == {pid for _, pid, _ in theirs} == {lives[2]}
    assert [count for _, count in mine] == [counts[-1] + 1, counts[-1] + 2, counts[-1] + 3]


def test_without_retries_a_call_in_flight_tells_of_the_crash_and_with_them_one_waits_for_an_actor_that_starts(
    drive: Driver,
) -> None:
    program = (
        COUNTER
        + """
    tierflow.init(log_to_driver=False)
    once = Counter.options(node="cloud-1", max_task_retries=0).remote()
    first = tierflow.get(once.next.remote())
    crashing = once.crash.remote()
    seen = []
    for ref in (crashing, once.next.remote()):
        try: seen.append(tierflow.get(ref))
        except Exception as error: seen.append(type(error).__name__)
    seen.append(tierflow.get(once.next.remote())[1])

    import glob, tempfile
    folder = tempfile.mkdtemp()
    @tierflow.actor(node="cloud-1", num_cpus=0, stand_in=True, max_task_retries=-1)
    class Late:
        def __init__(self, folder):
            open(f"{folder}/{os.getpid()}", "w").close()
            time.sleep(3)
            self.count, self.folder = 0, folder
        def next(self): self.count += 1; return os.getpid(), self.count
        def crash(self): os._exit(1)
        def always(self):
            with open(f"{self.folder}/always", "a") as file: file.write("x")
            os._exit(1)
    late = Late.remote(folder)
    old, _ = tierflow.get(late.next.remote())
    late._first.crash.remote()
    while len(glob.glob(f"{folder}/*")) < 2: time.sleep(.01)  # until Ray starts it again
    new, count = tierflow.get(late.next.remote())
    try: tierflow.get(late.always.remote())
    except ray.exceptions.RayError as error: seen.append(type(error).__name__)
    print(json.dumps([seen, old, new, count, os.path.getsize(f"{folder}/always")]))
    os._exit(0)
    """
    )
    done = drive(program, timeout=150)
    assert done.stdout.strip(), done.stderr
    seen, old, new, count, runs = json.loads(done.stdout.splitlines()[-1])
    assert seen[0] in ("ActorUnavailableError", "ActorDiedError")
    assert seen[2] in (1, 2)
    assert new != old
    assert seen[3] in ("ActorUnavailableError", "ActorDiedError")
    assert 2 <= runs <= TRIES
    assert count == 1
