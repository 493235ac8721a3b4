"""The ways out that a program has for what may not leave its device or site, each tried on a real fabric."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fabric.conftest import Driver
from tierflow.runtime.auditing import node_audits
from tierflow.runtime.record import FabricRecord

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("measured")]

PROGRAM = """
    import json, threading, time
    import numpy as np, ray, tierflow
    from ray import cloudpickle
    from ray.util.state import list_tasks
    from tierflow.runtime.guard import refusal_in
    tierflow.init(log_to_driver=False)
    MARK = b"SECRETFRAME!"

    @tierflow.actor(node="cam-1", stay="device", num_cpus=0, releases={"total": "aggregate"})
    class Camera:
        def __init__(self):
            self.frame = np.frombuffer(MARK * 20_000, np.uint8)
        def shot(self):
            return self.frame
        def total(self):
            return int(self.frame.sum())
        def complains(self):
            raise ValueError(f"bad pixel {self.frame[:12].tobytes()}")

    @tierflow.task(node="cam-1", num_cpus=0, stay="site")
    def history():
        return np.frombuffer(MARK * 20_000, np.uint8)

    @tierflow.task(node="cam-1", num_cpus=0, stay="site", ahead="1 MB")
    def batches():
        yield np.frombuffer(MARK * 20_000, np.uint8)

    @tierflow.task(node="cam-1", num_cpus=0, stay="site", ahead="1 MB", releases="counts")
    def counts():
        yield from (1, 2)

    @tierflow.task(num_cpus=0, releases="mean")
    def mean(frame):
        return float(frame.mean())

    @ray.remote(num_cpus=0)
    def read(x=None):
        return repr(x)[:40]

    @ray.remote(num_cpus=0)
    def fetch(refs):
        return repr(ray.get(refs[0]))[:40]

    @tierflow.actor(node="cam-1", num_cpus=0, releases={"tried": "outcomes"})
    class Thief:
        "It is on the node of the data, and has a friend outside."
        def __init__(self, friend):
            self.friend, self.frame = friend, None
        def take(self, frame):
            self.frame = frame
        def state(self):
            return self.frame
        def nested(self):
            return {"a": [self.frame[:12].tobytes()]}
        def one_number(self):
            return int(self.frame[0])
        def pickled(self):
            return cloudpickle.dumps(self.frame)
        def put(self):
            return [ray.put(self.frame)]
        def items(self):
            yield from self.frame[:2].tolist()
        def raises(self):
            raise KeyError(self.frame[:12].tobytes())
        def by_value(self):
            return self.why(lambda: ray.get(self.friend.remote(self.frame)))
        def as_text(self):
            return self.why(lambda: ray.get(self.friend.remote(x=self.frame[:12].tobytes().decode())))
        def in_a_thread(self):
            found = []
            thread = threading.Thread(target=lambda: found.append(self.by_value()))
            thread.start(); thread.join()
            return found[0]
        def in_a_closure(self):
            frame = self.frame
            call = ray.remote(num_cpus=0)(lambda: frame[:12].tobytes())
            return self.why(lambda: ray.get(call.options(label_selector=CLOUD).remote()))
        def outbox(self):
            return self.why(lambda: tierflow.Outbox("privacy").put(self.frame))
        def publish(self):
            return self.why(lambda: tierflow.publish("privacy", self.frame))
        def tried(self):
            names = "by_value", "as_text", "in_a_thread", "in_a_closure"
            return {name: getattr(self, name)() for name in names}
        def why(self, call):
            try:
                return repr(call())
            except Exception as error:
                return str(refusal_in(error) or error)

    NODE = "tierflow.io/node"
    CLOUD, GW, CAM2 = ({NODE: name} for name in ("cloud-1", "gw-1", "cam-2"))
    outside, gw, cam2 = (read.options(label_selector=node) for node in (CLOUD, GW, CAM2))
    camera, site, thief = Camera.remote(), history.remote(), Thief.remote(outside)
    shot = camera.shot.remote()
    ray.get(thief.take.remote(shot))
    worker = ray._private.worker.global_worker

    def bytes_of(ref):
        ray.wait([ref])
        return b"".join(bytes(part) for part in worker.core_worker.get_objects([ref], 10_000)[0][:1])

    def failed():
        "What Ray tells everybody of the tasks that failed."
        until = time.monotonic() + 10
        while time.monotonic() < until:
            rows = [row for row in list_tasks(filters=[("state", "=", "FAILED")], detail=True) if "Thief" in row.name]
            if any("raises" in row.name for row in rows):
                return repr(rows)
            time.sleep(0.5)

    def way(call):
        try:
            return {"got": repr(call())[:80]}
        except Exception as error:
            refused = refusal_in(error)
            return {"error": type(refused or error).__name__, "words": str(refused or error)}

    def by(reader, ref):
        return lambda: ray.get(reader.remote(ref))

    inside = lambda name: lambda: ray.get(getattr(thief, name).remote())
    ways = {
        "ray.get": lambda: ray.get(shot),
        "tierflow.get": lambda: tierflow.get(shot),
        "a plain task at the edge": by(gw, shot),
        "a plain task in the cloud": by(outside, shot),
        "a reference in a list": lambda: ray.get(fetch.options(label_selector=CLOUD).remote([shot])),
        "a neighbour": by(cam2, shot),
        "an actor's state": inside("state"),
        "nested": inside("nested"),
        "one number": inside("one_number"),
        "cloudpickle": inside("pickled"),
        "ray.put": lambda: ray.get(ray.get(thief.put.remote())[0]),
        "a generator": lambda: [ray.get(item) for item in thief.items.options(num_returns="streaming").remote()],
        "a stream": lambda: list(tierflow.stream(batches.remote())),
        "an error": inside("raises"),
        "an error of the camera": lambda: ray.get(camera.complains.remote()),
        "an outbox": inside("outbox"),
        "a version": inside("publish"),
        "a site's data in the cloud": lambda: tierflow.get(site),
        "placed in the cloud": lambda: tierflow.get(mean.options(node="cloud-1").remote(shot)),
        "placed in the cloud, the site's": lambda: tierflow.get(mean.options(node="cloud-1").remote(site)),
        "multicast": lambda: tierflow.get(tierflow.multicast(site, "region-1")),
    }
    may = {
        "a release": lambda: ray.get(camera.total.remote()),
        "a task that releases": lambda: tierflow.get(mean.remote(shot)),
        "the site's data at the edge": lambda: tierflow.get(mean.options(node="gw-1").remote(site)),
        "the site's data at a neighbour": lambda: tierflow.get(mean.options(node="cam-2").remote(site)),
        "a stream of what is released": lambda: list(tierflow.stream(counts.remote())),
        "no label": by(outside, ray.put(MARK)),
    }
    seen = tierflow.describe(shot)
    found = {
        "noise": [MARK in bytes_of(shot), MARK in bytes_of(site), len(bytes_of(shot))],
        "ways": {name: way(call) for name, call in ways.items()},
        "may": {name: way(call) for name, call in may.items()},
        "tried": ray.get(thief.tried.remote()),
        "failed": failed(),
        "seen": [seen.kind, seen.schema, seen.shape, seen.node, seen.site, seen.stay, seen.function],
    }
    print(json.dumps(found))
"""


def test_no_way_leads_out_but_a_release_and_each_is_written_down(drive: Driver, fabric: FabricRecord) -> None:
    done = drive(PROGRAM, timeout=150)
    assert done.stdout.strip(), done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(found, indent=1))
    assert found["noise"][:2] == [False, False]
    assert found["noise"][2] > 240_000
    for name, outcome in found["ways"].items():
        assert any(word in outcome.get("error", "") for word in ("StayRefused", "NoPlacement", "Withheld")), (
            name,
            outcome,
        )
        assert "SECRET" not in str(outcome), name
    for name, outcome in found["tried"].items():
        assert "may not leave cam-1" in outcome, (name, outcome)
    assert "Withheld" in found["failed"]
    assert "SECRET" not in found["failed"]
    assert all("got" in outcome for outcome in found["may"].values()), found["may"]
    assert found["seen"] == ["array", "uint8", [240_000], "cam-1", "plant-1", "device", "any@cam-1/Camera.shot"]
    _check_the_audit_logs(fabric)
    done = drive("from tierflow.runtime.auditing import main; main()")  # as where the nodes are other machines
    asked = json.loads(done.stdout.splitlines()[-1])
    assert {name: len(log["lines"]) for name, log in asked.items()} == {
        audit.node: len(audit.entries) for audit in node_audits(fabric)
    }


def _check_the_audit_logs(fabric: FabricRecord) -> None:
    audits = {audit.node: audit for audit in node_audits(fabric)}
    assert [audit.problem for audit in audits.values()] == [None] * 5
    entries: dict[str, list[Any]] = {name: list(audit.entries) for name, audit in audits.items()}
    released = [entry for entry in entries["cam-1"] if entry["what"] == "release"]
    assert {entry["word"] for entry in released} == {"aggregate", "counts", "mean", "outcomes"}
    mean = next(entry for entry in released if entry["word"] == "mean")
    assert [source["function"] for source in mean["lineage"]] == ["any@cam-1/Camera.shot"]
    here = [entry for entry in entries["cloud-1"] if entry["what"] == "refusal"]
    there = [entry for entry in entries["cam-1"] if entry["what"] == "refusal elsewhere"]
    assert {entry["value"]["id"] for entry in here} & {entry["value"]["id"] for entry in there}
    kept = {entry.get("to") for entry in entries["cam-1"] if entry["what"] == "refusal"}
    assert kept >= {"the outbox 'privacy'", "the versions of 'privacy'"}
    log = Path(fabric.state) / "nodes" / "cam-1" / "audit.jsonl"
    whole = log.read_bytes()
    try:
        log.write_bytes(whole.replace(b'"mean"', b'"mode"'))
        assert node_audits(fabric, "cam-1")[0].problem is not None
        log.write_bytes(whole[: whole[:-1].rfind(b"\n") + 1])
        assert "was cut off" in str(node_audits(fabric, "cam-1")[0].problem)
    finally:
        log.write_bytes(whole)
    assert node_audits(fabric, "cam-1")[0].problem is None
