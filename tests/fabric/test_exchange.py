"""Large values over a slow link: packed where that helps, as they are where not, the same for who reads them."""

from __future__ import annotations

import json

import pytest

from tests.fabric.conftest import Driver
from tierflow.rig import Rig

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("measured")]

PROGRAM = """
    import json, os, time
    import numpy as np, pyarrow as pa, ray, tierflow
    from tierflow.rig import LinkControl
    links = LinkControl(os.environ["TIERFLOW_RIG"])
    def table():
        rng, rows = np.random.default_rng(0), 200_000
        at = np.cumsum(rng.integers(9_000, 11_000, rows)).astype("datetime64[us]")
        value = np.cumsum(rng.normal(size=rows)).astype(np.float32)
        return pa.table({"at": at, "value": value, "status": rng.choice(["ok", "warm", "hot"], rows)})
    def noise():
        return np.frombuffer(np.random.default_rng(0).bytes(3_000_000), np.uint8)
    make = {
        "table": tierflow.task(node="cam-1", num_cpus=0)(table), "noise": tierflow.task(node="cam-1", num_cpus=0)(noise)
    }
    @tierflow.task(node="cloud-1", num_cpus=0)
    def same(value, kind):
        return same_as(value, globals_[kind]())
    globals_ = {"table": table, "noise": noise}
    def same_as(one, other):
        return one.equals(other) if isinstance(one, pa.Table) else bool((one == other).all())
    def crossed(call):
        "What it gives, the bytes that crossed the uplink meanwhile, and seconds."
        before, began = tierflow.traffic()["plant-1->region-1"], time.monotonic()
        value = call()
        return value, tierflow.traffic()["plant-1->region-1"] - before, round(time.monotonic() - began, 2)
    tierflow.init(log_to_driver=False)
    links.set("plant-1<->region-1", rate=1_250_000)
    found = {}
    try:
        for kind in make:
            tierflow.get(make[kind].remote())  # from now on it is known what the results are like
            ref = make[kind].remote()
            ray.wait([ref], fetch_local=False)
            value, *packed = crossed(lambda: tierflow.get(ref))
            plain = make[kind].remote()
            ray.wait([plain], fetch_local=False)
            _, *raw = crossed(lambda: ray.get(plain))
            third = make[kind].remote()
            ray.wait([third], fetch_local=False)
            right, *taken = crossed(lambda: tierflow.get(same.remote(third, kind)))
            found[kind] = [same_as(value, globals_[kind]()), packed, raw, right, taken]
    finally:
        links.set("plant-1<->region-1", rate=2.5e6)
    print(json.dumps(found))
"""


def test_what_can_be_made_smaller_crosses_a_slow_link_so_and_what_cannot_as_it_is(drive: Driver, rig: Rig) -> None:
    done = drive(PROGRAM, timeout=150)
    assert done.stdout.strip(), done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    right, packed, raw, also_right, taken = found["table"]
    assert right
    assert also_right
    assert max(packed[0], taken[0]) < raw[0] / 2
    right, packed, raw, also_right, taken = found["noise"]
    assert right
    assert also_right
    assert max(packed[0], taken[0]) < 1.05 * raw[0]
