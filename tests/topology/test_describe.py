"""What `tierflow check` says of a file: the ways, the warnings, the tables."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from rich.console import Console

from tierflow.testing.strategies import cluster_specs
from tierflow.topology import ClusterSpec, Description, Route, describe, load, parse
from tierflow.topology.render import render

DEMO = Path(__file__).parents[2] / "clusters" / "demo.yaml"


def drawn(description: Description) -> str:
    console = Console(width=160, file=io.StringIO(), color_system=None)
    console.print(render(description))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def route(description: Description, source: str, target: str) -> Route:
    return next(route for route in description.routes if (route.source[0], route.target[0]) == (source, target))


def test_the_way_from_the_devices_up_and_down() -> None:
    description = describe(load(DEMO))
    up, down = route(description, "device", "cloud"), route(description, "cloud", "device")
    assert up.path == ("cam-1->plant-1", "plant-1->region-1", "region-1->cloud-1")
    assert (up.delay, up.round_trip) == pytest.approx((0.0281, 0.0562))
    assert (up.rate, up.bottleneck, up.price, up.loss) == (2.5e6, "plant-1->region-1", 0.0, 0.0)
    assert (down.price, down.bottleneck) == (9e-11, "region-1->plant-1")


def test_loss_is_that_of_the_whole_way_and_values_are_of_the_nodes_furthest_apart(valid: str) -> None:
    text = valid + "    loss: 10 %\n  - {from: cam-1, to: plant-1, rate: 1 kbit/s, delay: 9 ms, loss: 10 %}\n"
    text = text.replace("links:", "  - {name: cam-2, tier: device, site: plant-1}\nlinks:")
    up = route(describe(parse(text)), "device", "cloud")
    assert up.loss == pytest.approx(0.19)
    assert up.nodes == ("cam-1", "cloud-1")


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        ("hosts: rig", "hosts: rig", "no 'cpu_quota' on cloud-1, gw-1, cam-1: what they do slows the other nodes of "
         "the rig down"),
        ("tier: device", "tier: device\n    cpu_quota: 3", "the quotas add up to 3 cores, but this machine has 2: "
         "the nodes slow each other down"),
        ("[device, edge, cloud]", "[device, edge, fog, cloud]", "no node is in tier 'fog'"),
        ("hosts: rig", "hosts: rig\nsites: [plant-1, region-1, moon]", "site 'moon' holds no node and joins no link"),
        ("tier: device", "tier: device\n    battery: 1 Wh", "node 'cam-1' has a battery but no 'power', so nothing is "
         "known of how long it lasts"),
        ("tier: device", "tier: device\n    gateway: {listen: node, outboxes: [a]}", "the gateway of 'cam-1' is "
         "open to the network without TLS: tokens cross it as they are"),
        ("20 Mbit/s", "1 Gbit/s", "link plant-1->region-1 asks for 1 Gbit/s; 500 Mbit/s is what the rig is sure to "
         "reach where the kernel has no netem"),
        ("hosts: rig", "hosts: local", None),
    ],
)  # fmt: skip
def test_what_looks_wrong_is_said(valid: str, old: str, new: str, warning: str | None) -> None:
    description = describe(parse(valid.replace(old, new, 1)), cores=2)
    assert warning in description.warnings if warning else not description.warnings


def test_quotas_without_a_rig_and_nodes_without_a_path_are_said(valid: str) -> None:
    text = valid[: valid.index("links:")].replace("hosts: rig", "hosts: local")
    description = describe(parse(text.replace("tier: device", "tier: device\n    cpu_quota: 1")))
    assert description.warnings == (
        "no path of links joins 'cloud-1' and 'gw-1', so nothing is known of what lies between them",
        "no path of links joins 'cloud-1' and 'cam-1', so nothing is known of what lies between them",
        "'cpu_quota' means nothing under 'hosts: local' (cam-1)",
    )
    assert all(route.source[1] == route.target[1] for route in description.routes)


def test_a_way_without_a_way_back(valid: str) -> None:
    description = describe(parse(valid.replace("hosts: rig", "hosts: local") + "    both: false\n"))
    assert route(description, "edge", "cloud").round_trip is None
    assert "no way back" in drawn(description)


def test_the_shipped_demo_has_nothing_to_warn_of_on_two_cores() -> None:
    assert describe(load(DEMO), cores=2).warnings == ()


def test_the_tables_say_each_thing_with_its_unit() -> None:
    text = drawn(describe(load(DEMO), cores=1))
    for said in (
        "demo: hosts on this machine, with shaped links",
        "tiers: 3 device < 1 edge < 1 cloud; head: cloud-1; sites: region-1, plant-1",
        "cloud-1 (head)",
        "60 W / 180 W",
        "0.1 $/h",
        "40 Wh",
        "0.09 $/GB",
        "device@plant-1",
        "56.2 ms",
        "0.09 $",
        "warning: the quotas add up to 1.7 cores, but this machine has 1",
    ):
        assert said in text, said


@settings(max_examples=25)
@given(spec=cluster_specs())
def test_any_spec_can_be_described_drawn_and_written_as_json(spec: ClusterSpec) -> None:
    description = describe(spec, cores=2)
    values = json.loads(json.dumps(description.to_dict()))
    assert [node["name"] for node in values["nodes"]] == [node.name for node in spec.nodes]
    assert values["links"][0]["rate"] == description.links[0].rate
    assert spec.name in drawn(description)
