from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.planning import Request, eligible, no_placement
from tierflow.topology import NODE, SITE, TIER, Member


def member(name: str, tier: str, site: str, *, alive: bool = True, cpus: float = 1, **labels: str) -> Member:
    marks = {TIER: tier, SITE: site, NODE: name, **labels} if tier else labels
    has = {"CPU": cpus, "memory": 2.0**30}
    return Member(name, tier, site, alive, has, {}, marks, name, "")


CLOUD = member("cloud-1", "cloud", "region-1", cpus=8)
EDGE = member("gw-1", "edge", "plant-1", cpus=2, arm="yes")
DEVICES = (member("cam-1", "device", "plant-1"), member("cam-2", "device", "plant-2", alive=False))
ALL = (CLOUD, EDGE, *DEVICES)


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (Request("f"), ["cam-1", "cloud-1", "gw-1"]),
        (Request("f", ("edge", "cloud")), ["gw-1", "cloud-1"]),
        (Request("f", ("cloud", "edge")), ["cloud-1", "gw-1"]),
        (Request("f", ("edge", "cloud"), site="plant-1"), ["gw-1"]),
        (Request("f", site="plant-1"), ["cam-1", "gw-1"]),
        (Request("f", node="cloud-1"), ["cloud-1"]),
        (Request("f", resources={"CPU": 2}), ["cloud-1", "gw-1"]),
        (Request("f", resources={"CPU": 0, "GPU": 0}), ["cam-1", "cloud-1", "gw-1"]),
        (Request("f", ("edge",), resources={"GPU": 1}), []),
        (Request("f", labels={"arm": "yes"}), ["gw-1"]),
        (Request("f", labels={"arm": "!yes"}), ["cam-1", "cloud-1"]),
        (Request("f", labels={TIER: "in(edge, cloud)"}), ["cloud-1", "gw-1"]),
        (Request("f", labels={TIER: "!in(edge,cloud)"}), ["cam-1"]),
        (Request("f", labels={"gpu": "a"}, fallbacks=({"arm": "yes"}, {TIER: "cloud"})), ["gw-1", "cloud-1"]),
    ],
)
def test_who_can_run_what(request_: Request, names: list[str]) -> None:
    assert [node.name for node in eligible(request_, ALL).nodes] == names


def test_each_other_node_has_its_reason() -> None:
    refusals = eligible(Request("f", ("edge",), resources={"CPU": 4, "memory": 2**31}), ALL).refusals
    assert [(refusal.node, refusal.reason) for refusal in refusals] == [
        ("cam-1", "is of tier device, has 1 CPU, not 4 CPU, has 1 GiB of memory, not 2 GiB of memory"),
        ("cam-2", "it is not alive"),
        ("cloud-1", "is of tier cloud, has 1 GiB of memory, not 2 GiB of memory"),
        ("gw-1", "has 2 CPU, not 4 CPU, has 1 GiB of memory, not 2 GiB of memory"),
    ]
    assert [refusal.reason for refusal in eligible(Request("f", labels={"arm": "no"}), (EDGE, CLOUD)).refusals] == [
        "has no label arm",
        "its label arm is yes",
    ]


@pytest.mark.parametrize(
    ("request_", "mend"),
    [
        (Request("f", ("egde",)), "the fabric has no tier egde; did you mean edge?"),
        (Request("f", ("x", "y")), "the fabric has no tier x or y; there is: cloud, device, edge"),
        (Request("f", site="plant-9"), "the fabric has no site plant-9; did you mean plant-1?"),
        (Request("f", node="cam-2"), "the fabric has no node cam-2; did you mean cam-1?"),
        (Request("f", ("edge",), resources={"CPU": 9}), ""),
    ],
)
def test_what_would_make_it_possible(request_: Request, mend: str) -> None:
    assert no_placement(request_, ALL).mend == mend


def test_plain_ray_has_no_tiers_but_runs_what_asks_for_none() -> None:
    plain = (member("host-1", "", ""),)
    assert eligible(Request("f", resources={"CPU": 1}), plain).nodes == plain
    error = str(no_placement(Request("f", ("edge",)), plain))
    assert "host-1 (no tier, no site): has no label tierflow.io/tier" in error
    assert "start it with `tierflow up`, or each Ray node with `ray start --labels=tierflow.io/tier=edge," in error
    assert "(the fabric has no nodes)" in str(no_placement(Request("f"), ()))


@pytest.mark.parametrize(
    ("request_", "title", "asked"),
    [
        (Request("f"), "any/f", "any node"),
        (Request("f", ("edge", "cloud"), "a"), "edge|cloud@a/f", "tier edge or cloud at site a"),
        (
            Request("f", ("edge",), node="gw-1", resources={"CPU": 2, "GPU": 0}),
            "edge@gw-1/f",
            "tier edge on node gw-1, 2 CPU",
        ),
        (Request("f", labels={"arm": "yes"}), "any/f", "label arm=yes"),
    ],
)
def test_a_request_in_words(request_: Request, title: str, asked: str) -> None:
    assert (request_.title, request_.asked) == (title, asked)


def test_selectors_are_in_order_of_preference() -> None:
    assert Request("f").selectors == ()
    assert Request("f", ("edge", "cloud"), "a").selectors == ({TIER: "edge", SITE: "a"}, {TIER: "cloud", SITE: "a"})


names = st.sampled_from(("a", "b", "c"))
members = st.lists(
    st.builds(member, names, names, names, alive=st.booleans(), cpus=st.floats(0, 8)),
    max_size=5,
    unique_by=lambda m: m.name,
)
requests = st.builds(
    Request,
    st.just("f"),
    st.lists(names, max_size=2, unique=True).map(tuple),
    st.none() | names,
    st.none() | names,
    st.dictionaries(st.just("CPU"), st.floats(0, 8)),
)


@given(requests, members)
def test_every_node_is_placed_or_refused_whatever_the_order(request_: Request, nodes: list[Member]) -> None:
    sorted_out = eligible(request_, nodes)
    assert sorted_out == eligible(request_, list(reversed(nodes)))
    assert {node.name for node in sorted_out.nodes} | {refusal.node for refusal in sorted_out.refusals} == {
        node.name for node in nodes
    }
    for node in sorted_out.nodes:
        assert node.alive
        assert not request_.tiers or node.tier in request_.tiers
        assert node.resources["CPU"] >= request_.resources.get("CPU", 0)
