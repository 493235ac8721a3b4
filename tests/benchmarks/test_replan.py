"""Planning again, as the benchmark does it."""

from __future__ import annotations

from benchmarks.driven import demo
from benchmarks.replan import fifty, replan


def test_the_larger_fabric_has_fifty_nodes_that_reach_each_other() -> None:
    spec = fifty()
    assert len(spec.nodes) == 50
    assert {node.tier for node in spec.nodes} == {"device", "edge", "cloud"}


def test_never_planning_again_has_regret() -> None:
    found = replan(demo("five"), 1)
    assert found.nodes == 5
    assert found.stale.value > 0.05
