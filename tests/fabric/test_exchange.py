"""Large values over a slow link: packed where that helps, as they are where not, the same for who reads them."""

from __future__ import annotations

import json

import pytest

from tests.fabric.conftest import Driver
from tests.fabric.test_cuts import whole
from tierflow.rig import Rig

__all__ = ["whole"]

# Nothing goes packed while anybody is cut off, as after the tests of cuts.
pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("measured", "whole")]

PROGRAM = """
    import json, math, os
    import numpy as np, pyarrow as pa, ray, tierflow
    from tierflow.rig import LinkControl
    links = LinkControl(os.environ["TIERFLOW_RIG"])
    UP, DOWN = "plant-1->region-1", "region-1->plant-1"
    def table():
        rng, rows = np.random.default_rng(0), 100_000
        at = np.cumsum(rng.integers(9_000, 11_000, rows)).astype("datetime64[us]")
        value = np.cumsum(rng.normal(size=rows)).astype(np.float32)
        return pa.table({"at": at, "value": value, "status": rng.choice(["ok", "warm", "hot"], rows)})
    def noise():
        return np.frombuffer(np.random.default_rng(0).bytes(1_000_000), np.uint8)
    def state():
        rng = np.random.default_rng(0)
        return {"layers": [{"weight": rng.normal(size=(200, 500)).astype(np.float32)} for _ in range(5)], "step": 7}
    makers = {"table": table, "noise": noise, "state": state}
    on = dict(node="cam-1", num_cpus=0)
    make = {kind: tierflow.task(**on, lossy=0.01 if kind == "state" else 0)(maker) for kind, maker in makers.items()}
    def off(one, kind):
        "By how much a value is off, as a share of the largest number."
        other = makers[kind]()
        if kind == "table":
            return float(not one.equals(other))
        if kind == "noise":
            return float((one != other).any())
        pairs = [(a["weight"], b["weight"]) for a, b in zip(one["layers"], other["layers"], strict=True)]
        return float(max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs) + (one["step"] != 7))
    def crossed(link, call, most=math.inf):
        "What a call gives, and the bytes that cross a link meanwhile; once more where these are too many: others add."
        counts = []
        for _ in range(3):
            before = tierflow.traffic()[link]
            value = call()
            counts.append(tierflow.traffic()[link] - before)
            if counts[-1] < most:
                break
        return value, min(counts)
    def ready(ref):
        ray.wait([ref], fetch_local=False)
        return ref
    tierflow.init(log_to_driver=False)
    links.set("plant-1<->region-1", rate=1_250_000)
    found = {}
    try:
        for kind in make:
            tierflow.get(make[kind].remote())  # from now on it is known what the results are like
            there, back = tierflow.task(node="cloud-1", num_cpus=0)(off), tierflow.task(**on)(off)
            plain, given = ready(make[kind].remote()), makers[kind]()
            _, raw = crossed(UP, lambda: ray.get(plain))
            most = raw * (1.1 if kind == "noise" else .5)
            def read():
                ref = ready(make[kind].remote())
                return (tierflow.get([ref, ref]) + [tierflow.get(ref)])[0]
            def take():
                ref = make[kind].remote()  # not made yet when it is handed on
                return max(tierflow.get([there.remote(ref, kind) for _ in range(3)]))
            value, read = crossed(UP, read, most)
            wrong, taken = crossed(UP, take, most)
            wrong_back, sent = crossed(DOWN, lambda: tierflow.get(back.remote(given, kind)), most)
            found[kind] = dict(off=off(value, kind), wrong=wrong, wrong_back=wrong_back,
                               raw=raw, read=read, taken=taken, sent=sent)
        zeros = tierflow.task(**on)(lambda: np.zeros(1_000_000, np.uint8))
        refs = [ready(zeros.remote()) for _ in range(40)]  # so brief that not each of them would be looked at
        _, found["brief"] = crossed(UP, lambda: tierflow.get(refs[-1]))
        cameras = ["cam-1", "cam-2", "cam-3"]
        use = tierflow.task(num_cpus=0)(lambda value: len(value))
        for name, way in (("alone", lambda ref: ref), ("multicast", lambda ref: tierflow.multicast(ref, "plant-1"))):
            def by_all():
                one = way(tierflow.put(noise()))
                return tierflow.get([use.options(node=camera).remote(one) for camera in cameras])
            found[name] = crossed(DOWN, by_all, 3_500_000 if name == "alone" else .6 * found["alone"][1])
    finally:
        links.set("plant-1<->region-1", rate=2.5e6)
    print(json.dumps(found))
"""


def test_what_can_be_made_smaller_crosses_a_slow_link_so_and_what_cannot_as_it_is(drive: Driver, rig: Rig) -> None:
    done = drive(PROGRAM, timeout=150)
    assert done.stdout.strip(), done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    table, noise, state = found["table"], found["noise"], found["state"]
    assert table["off"] == table["wrong"] == table["wrong_back"] == 0
    assert max(table["read"], table["taken"], table["sent"]) < table["raw"] / 2
    assert noise["off"] == noise["wrong"] == noise["wrong_back"] == 0
    assert max(noise["read"], noise["taken"], noise["sent"]) < 1.1 * noise["raw"]
    assert 0 < max(state["off"], state["wrong"]) <= 0.01
    assert max(state["read"], state["taken"]) < state["raw"] / 2
    assert state["wrong_back"] == 0  # the call that takes it does not allow more
    assert found["brief"] < 200_000
    assert found["alone"][0] == found["multicast"][0] == [1_000_000] * 3
    assert 1_000_000 < found["multicast"][1] < 0.6 * found["alone"][1]
