"""What was measured outlives the registry that wrote it down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tierflow.runtime.measured import MEASURED, Measurements
from tierflow.runtime.registry import known_conditions
from tierflow.topology import Topology, load
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

DEMO = Path(__file__).parents[2] / "clusters" / "demo.yaml"
UPLINK = "plant-1->region-1"


def test_a_registry_that_comes_back_knows_what_was_measured_before(tmp_path: Path) -> None:
    declared = Conditions.of(Topology.of(load(DEMO)))
    before = declared.changed(
        {
            "gw-1": NodeChange(
                speed=Value(0.3, 0.02), busy=Value(0.25, 0.1), dispatch=Value(0.004, 0.001, Source.LEARNED)
            )
        },
        {UPLINK: LinkChange(rate=Value(2.4e6, 1e5), delay=Value(0.025, 0.001))},
    )
    Measurements.of(before, {}).write(tmp_path)
    after = known_conditions(declared, tmp_path)
    node, link = after.fixed.nodes["gw-1"], after.fixed.links[UPLINK]
    assert after.speed.at(node) == Value(0.3, 0.02)
    assert after.dispatch.at(node) == Value(0.004, 0.001, Source.LEARNED)
    assert after.rate.at(link) == Value(2.4e6, 1e5)
    assert after.speed.at(after.fixed.nodes["cam-1"]).source is Source.DECLARED


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{",
        json.dumps({"nodes": {"gw-1": {"speed": {"value": -1, "deviation": 0, "source": "measured"}}}}),
        json.dumps({"nodes": {"gw-1": {"pace": {"value": 1, "deviation": 0, "source": "measured"}}}}),
        json.dumps({"links": {UPLINK: {"rate": {"value": 1, "deviation": 0, "source": "guessed"}}}}),
    ],
)
def test_what_cannot_be_read_is_measured_again(tmp_path: Path, written: str) -> None:
    declared = Conditions.of(Topology.of(load(DEMO)))
    (tmp_path / MEASURED).write_text(written)
    assert known_conditions(declared, tmp_path) is declared


def test_a_node_that_is_gone_from_the_file_is_passed_over(tmp_path: Path) -> None:
    declared = Conditions.of(Topology.of(load(DEMO)))
    row = {"speed": {"value": 1.0, "deviation": 0.1, "source": "measured"}}
    (tmp_path / MEASURED).write_text(json.dumps({"nodes": {"gw-9": row}}))
    assert known_conditions(declared, tmp_path) is declared
