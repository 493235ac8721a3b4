"""Writing a cluster file, and reading it back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from tierflow.testing.strategies import cluster_specs
from tierflow.topology import ClusterSpec, dump, load, parse

CLUSTERS = sorted((Path(__file__).parents[2] / "clusters").glob("*.yaml"))


def test_a_file_is_written_as_people_write_it(valid: str) -> None:
    spec = parse(valid.replace("tier: device", "tier: device\n    memory: 2 GiB\n    battery: 10 Wh"))
    assert dump(spec) == (
        "name: demo\n"
        "hosts: rig\n"
        "tiers: [device, edge, cloud]\n"
        "nodes:\n"
        "- {name: cloud-1, tier: cloud, site: region-1}\n"
        "- {name: gw-1, tier: edge, site: plant-1}\n"
        "- {name: cam-1, tier: device, site: plant-1, memory: 2 GiB, battery: 10 Wh}\n"
        "links:\n"
        "- {from: plant-1, to: region-1, rate: 20 Mbit/s, delay: 25 ms}\n"
    )


@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.stem)
def test_the_files_we_ship_come_back(path: Path) -> None:
    spec = load(path)
    assert parse(dump(spec)) == spec


@given(spec=cluster_specs())
def test_any_spec_comes_back_to_the_last_digit(spec: ClusterSpec) -> None:
    assert parse(dump(spec)) == spec


@pytest.mark.parametrize("name", ["1", "1-2", "0x1f", "1e3", "no", "null", "true"])
def test_a_name_that_looks_like_something_else_is_quoted(valid: str, name: str) -> None:
    spec = parse(valid.replace("name: cam-1", f"name: '{name}'"))
    assert parse(dump(spec)) == spec
