"""What is known of nodes and links: versions that share what did not change."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.errors import MeasureError
from tierflow.testing.strategies import cluster_specs
from tierflow.topology import ClusterSpec, Topology, parse
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange
from tierflow.topology.routes import Routes


@pytest.fixture
def declared(valid: str) -> Conditions:
    return Conditions.of(Topology.of(parse(valid)))


def test_version_0_is_what_the_file_declares(declared: Conditions) -> None:
    up = declared.rate.at(declared.fixed.links["plant-1->region-1"])
    assert (up.value, up.source) == (2.5e6, Source.DECLARED)
    assert up.deviation > 0
    assert declared.version == 0
    assert declared.fixed.kinds == ("cloud 1 CPU x1", "device 1 CPU x1", "edge 1 CPU x1")
    assert math.isnan(declared.fixed.power[0])


def test_a_change_makes_a_version_that_shares_the_rest(declared: Conditions) -> None:
    after = declared.changed(links={"plant-1->region-1": LinkChange(rate=Value(1e5, 1e4))})
    at = declared.fixed.links["plant-1->region-1"]
    assert after.rate.at(at) == Value(1e5, 1e4, Source.MEASURED)
    assert (after.version, after.rate.version[at], after.rate.version.sum()) == (1, 1, 1)
    assert declared.rate.at(at).value == 2.5e6
    for name in ("fixed", "speed", "busy", "alive", "dispatch", "delay", "loss", "up"):
        assert getattr(after, name) is getattr(declared, name)


def test_what_changes_nothing_is_the_same_version(declared: Conditions) -> None:
    known = NodeChange(speed=Value(2.0, 0.1), busy=Value(0.5), alive=False)
    after = declared.changed({"gw-1": known}, {"plant-1->region-1": LinkChange(up=False, loss=Value(0.1))})
    assert not after.alive[after.fixed.nodes["gw-1"]]
    assert after.changed({"gw-1": known}) is after
    assert after.changed() is after


def test_arrays_are_read_only(declared: Conditions) -> None:
    after = declared.changed({"gw-1": NodeChange(alive=False)}, {"plant-1->region-1": LinkChange(delay=Value(1.0))})
    for array in (after.delay.value, after.rate.value, after.alive):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (LinkChange(rate=Value(0.0)), "no rate can be 0 give or take 0"),
        (LinkChange(delay=Value(-1.0)), "no delay can be -1"),
        (LinkChange(loss=Value(1.0)), "no loss can be 1"),
        (LinkChange(rate=Value(math.nan)), "no rate can be nan"),
        (LinkChange(rate=Value(1.0, -1.0)), "no rate can be 1 give or take -1"),
    ],
)
def test_a_value_that_cannot_be_is_refused(declared: Conditions, change: LinkChange, sentence: str) -> None:
    with pytest.raises(MeasureError, match=sentence) as caught:
        declared.changed(links={"plant-1->region-1": change})
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(KeyError):
        declared.changed(links={"plant-1->nowhere": LinkChange(up=False)})


def test_on_another_topology_what_was_measured_stays(declared: Conditions, valid: str) -> None:
    before = declared.changed(
        {"gw-1": NodeChange(speed=Value(3.0), alive=False, dispatch=Value(0.02, 0.01))},
        {"plant-1->region-1": LinkChange(rate=Value(1e5))},
    )
    more = Topology.of(
        parse(valid.replace("nodes:", "nodes:\n  - {name: cam-0, tier: device, site: plant-1, speed: 2}"))
    )
    after = before.on(more)
    assert after.version > before.version
    assert after.speed.at(after.fixed.nodes["gw-1"]) == Value(3.0)
    assert after.dispatch.at(after.fixed.nodes["gw-1"]) == Value(0.02, 0.01)
    assert after.speed.at(after.fixed.nodes["cam-0"]).source is Source.DECLARED
    assert after.dispatch.at(after.fixed.nodes["cam-0"]) == Value(0.001, 0.001, Source.DECLARED)
    assert not after.alive[after.fixed.nodes["gw-1"]]
    assert after.rate.at(after.fixed.links["plant-1->region-1"]) == Value(1e5)
    assert declared.on(more).version == 1


@given(spec=cluster_specs())
def test_routes_are_the_paths_of_the_topology_in_both_directions(spec: ClusterSpec) -> None:
    topology = Topology.of(spec)
    column = np.arange(1.0, len(topology.links) + 1)
    for vertex in (*topology.sites, *(node.name for node in topology.nodes)):
        for routes, inward in ((Routes.to_nodes(topology, vertex), False), (Routes.from_nodes(topology, vertex), True)):
            for at, node in enumerate(topology.nodes):
                path = topology.path(node.name, vertex) if inward else topology.path(vertex, node.name)
                assert routes.reached[at] == (path is not None)
                path, start = path or (), routes.starts[at]
                assert tuple(routes.links[start : start + len(path)]) == path
                assert routes.total(column)[at] == sum(column[list(path)])
                assert routes.least(column)[at] == min(column[list(path)], default=math.inf)


def test_a_node_that_no_path_reaches_is_marked(valid: str) -> None:
    both_ways = Topology.of(parse(valid))
    one_way = replace(both_ways, links=tuple(link for link in both_ways.links if link.name != "region-1->plant-1"))
    conditions = Conditions.of(one_way)
    cloud = conditions.fixed.nodes["cloud-1"]
    assert conditions.fixed.routes("cam-1", inward=False).reached.all()
    back = conditions.fixed.routes("cam-1", inward=True)
    assert not back.reached[cloud]
    assert back.total(np.ones(len(one_way.links)))[cloud] == 0
    assert conditions.fixed.routes("cam-1", inward=True) is back


@given(spec=cluster_specs(), data=st.data())
def test_versions_hold_the_last_value_that_was_set(spec: ClusterSpec, data: st.DataObject) -> None:
    conditions = Conditions.of(Topology.of(spec))
    links = [link.name for link in conditions.topology.links]
    last: dict[str, float] = {}
    changes = st.dictionaries(st.sampled_from(links), st.floats(1.0, 1e9), max_size=3)
    for change in data.draw(st.lists(changes, max_size=5)):
        conditions = conditions.changed(links={name: LinkChange(rate=Value(rate)) for name, rate in change.items()})
        last |= change
    for name, index in conditions.fixed.links.items():
        assert conditions.rate.value[index] == last.get(name, conditions.topology.links[index].rate)
