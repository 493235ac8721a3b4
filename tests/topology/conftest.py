"""What the tests of the topology share: a small cluster file in which one thing can be changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tierflow.errors import ClusterFileError
from tierflow.topology import parse

VALID = """\
name: demo
hosts: rig
tiers: [device, edge, cloud]
nodes:
  - {name: cloud-1, tier: cloud, site: region-1}
  - {name: gw-1, tier: edge, site: plant-1}
  - name: cam-1
    tier: device
    site: plant-1
links:
  - from: plant-1
    to: region-1
    rate: 20 Mbit/s
    delay: 25 ms
"""


@pytest.fixture
def valid() -> str:
    """A valid cluster file: two sites, three nodes, one link."""
    return VALID


@pytest.fixture(scope="session")
def refusal() -> Callable[[str], str]:
    """The sentence with which a text called c.yaml is refused."""

    def refuse(text: str) -> str:
        with pytest.raises(ClusterFileError) as caught:
            parse(text, "c.yaml")
        return str(caught.value)

    return refuse
