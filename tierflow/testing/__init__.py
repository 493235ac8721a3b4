"""Try a program with no cluster: a fabric in this process, with links by a virtual clock.

    import tierflow.testing

    def test_detect():
        with tierflow.testing.fabric("clusters/demo.yaml", durations={"detect": 0.02}) as fab:
            ref = detect.remote(frame)
            assert tierflow.get(ref) == []
            assert tierflow.placement(ref).tier == "edge"
            assert fab.sent["region-1->plant-1"] > 0
            assert fab.clock.now > 0.02

Everything runs in this process and thread, in the order it is written, so a test can't be flaky. Policies, placement,
its errors, `tierflow.explain`, what comes back (`ray.ObjectRef`, `RayTaskError`, generators) and the copying of
arguments are as on a cluster; a function's time is learned from its calls, of which `durations` says how long they
take. The program's globals are not copied. The program itself runs on the head's node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tierflow.sdk.fabric import enter, leave
from tierflow.testing.clock import MockClock
from tierflow.testing.local import LocalFabric
from tierflow.testing.redirect import redirected
from tierflow.topology import ClusterSpec, load, parse

__all__ = ["LocalFabric", "MockClock", "fabric"]

_SMALL = """
name: small
hosts: local
nodes:
  - {name: cloud-1, tier: cloud, site: region-1}
  - {name: gw-1, tier: edge, site: plant-1}
  - {name: cam-1, tier: device, site: plant-1}
links:
  - {from: plant-1, to: region-1, rate: 20 Mbit/s, delay: 25 ms}
"""


@contextmanager
def fabric(
    spec: ClusterSpec | str | Path | Mapping[str, Any] | None = None, *, durations: Mapping[str, float] | None = None
) -> Iterator[LocalFabric]:
    """Open a fabric in this process; calls go to it, and Ray's own functions too, until the block ends.

    Args:
        spec: a cluster, or the path of its file; without it one node a tier, the device and the edge at one site,
            20 Mbit/s and 25 ms away from the cloud.
        durations: seconds that a task (by its name), a method (``"Class.method"``) or each item of a generator takes on
            a node of speed 1. What is not named takes no time.

    Fabrics nest: an inner one hides the outer one. What was made in a fabric means nothing after it closed, and the
    program's policy (`tierflow.init`) is then what it was before.
    """
    if spec is None:
        spec = parse(_SMALL)
    elif isinstance(spec, (str, Path)):
        spec = load(spec)
    elif not isinstance(spec, ClusterSpec):
        spec = ClusterSpec.model_validate(spec)
    opened = LocalFabric(spec, durations or {})
    enter(opened)
    try:
        with redirected(opened):
            yield opened
    finally:
        leave(opened)
        opened.close()
