from __future__ import annotations

import pytest

from tierflow.rig.plan import plan
from tierflow.rig.targets import resolve
from tierflow.topology import ClusterSpec


@pytest.mark.parametrize(
    ("target", "links"),
    [
        ("plant-1->region-1", {"plant-1->region-1"}),
        ("region-1<->plant-1", {"plant-1->region-1", "region-1->plant-1"}),
        ("cam-1", {"cam-1->plant-1", "plant-1->cam-1"}),
        ("plant-1", {"plant-1->region-1", "region-1->plant-1"}),
        ("region-1", {"plant-1->region-1", "region-1->plant-1"}),
    ],
)
def test_a_target_is_a_direction_a_pair_a_node_or_a_site(spec: ClusterSpec, target: str, links: set[str]) -> None:
    config = plan(spec, {node.name: "/somewhere" for node in spec.nodes})
    assert {config["links"][number]["name"] for number in resolve(target, config)} == links


@pytest.mark.parametrize("target", ["", "nobody", "cam-1->cloud-1", "cam-1<->cloud-1", "->"])
def test_an_unknown_target_names_the_known_ones(spec: ClusterSpec, target: str) -> None:
    config = plan(spec, {node.name: "/somewhere" for node in spec.nodes})
    with pytest.raises(ValueError, match="plant-1"):
        resolve(target, config)
