"""Why a work is where it is, in words."""

from __future__ import annotations

import pytest

from tierflow.runtime.whereabouts import reason
from tierflow.topology import NODE, SITE, TIER, Member


def member(name: str, tier: str) -> Member:
    labels = {NODE: name, TIER: tier, SITE: "plant-1"}
    return Member(name, tier, "plant-1", True, {"CPU": 1.0}, {}, labels, name, "127.0.0.1")


MEMBERS = (member("cam-1", "device"), member("cam-2", "device"), member("gw-1", "edge"))


@pytest.mark.parametrize(
    ("title", "on", "why"),
    [
        ("any/f", 0, "asked for any node"),
        ("any>edge@plant-1/f", 2, "asked for any node; chosen by predicted cost"),
        (
            "any@plant-1>edge@plant-1/f",
            2,
            "asked for site plant-1; of 3 nodes that fit, gw-1 was chosen by predicted cost",
        ),
        ("edge>edge@plant-1/f", 2, "asked for tier edge; gw-1 is the only node that fits"),
        ("edge/f", 2, "asked for tier edge; gw-1 is the only node that fits"),
        ("device@plant-1/f", 1, "asked for tier device at site plant-1; cam-2 is one of 2 nodes that fit"),
        ("device@cam-1/f", 0, "asked for tier device on node cam-1; cam-1 is the only node that fits"),
        ("any@gw-1/f", 2, "asked for node gw-1; gw-1 is the only node that fits"),
        ("edge|device/f", 0, "asked for tier edge or device; no node of tier edge was free, cam-1 was"),
    ],
)
def test_the_reason_is_said(title: str, on: int, why: str) -> None:
    assert reason(title, MEMBERS[on], MEMBERS) == why
