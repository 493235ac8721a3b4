"""What a process asks of labels, of objects that others made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from tierflow.errors import FabricError
from tierflow.exchange import Envelope
from tierflow.planning import Policy
from tierflow.runtime import described
from tierflow.runtime.guide import Guide
from tierflow.runtime.placing import Placing
from tierflow.topology import Topology, load
from tierflow.topology.conditions import Conditions

DEMO = Path(__file__).parents[2] / "clusters" / "demo.yaml"


def test_a_look_that_failed_is_short_and_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIERFLOW_FABRIC", raising=False)
    placing = Placing("gw-1", Conditions.of(Topology.of(load(DEMO))))
    sharing: Any = SimpleNamespace(placing=placing, policy=Policy())
    guide = Guide(sharing, Policy, ())
    guide._names, guide._labels = {"one": "cam-1"}, True
    ref, asked = ray.ObjectRef(b"1" * 28), list[float]()
    where = {ref: {"node_ids": ["one"], "object_size": 4096}}
    monkeypatch.setattr(ray.experimental, "get_object_locations", lambda refs, timeout_ms: where)

    def fails(ref: Any, names: Any, within: float) -> Envelope:
        asked.append(within)
        raise FabricError("its node does not answer", "wait")

    monkeypatch.setattr(described, "described", fails)
    assert guide._place(ref).stay is None
    monkeypatch.setattr(described, "described", lambda *_: Envelope("array", node="cam-1", stay="device"))
    assert guide._place(ref).stay == "device"
    monkeypatch.setattr(described, "described", fails)
    assert guide._place(ref).stay == "device"
    assert len(asked) == 1
    assert asked[0] <= 2
