"""A lasting cut is known on each side within 3 s and a heal within 2 s, and nothing else is taken for one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.control.sites import HUB, Sites

KNOWN, HEALED = 3.0, 2.0
WARM = 6.0

sizes = st.lists(st.integers(1, 7), min_size=1, max_size=4)
seeds = st.integers(0, 2**32)
few = settings(max_examples=15)
"""An example is up to half a minute of the life of up to 28 nodes, and takes half a second."""


@st.composite
def cut_sites(draw: st.DrawFn) -> tuple[Sites, set[tuple[str, bool]]]:
    sites = Sites(draw(sizes), draw(seeds))
    places = sorted({*sites.peers, *(peer.site for peer in sites.peers.values())})
    broken = draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique=True))
    ways = st.sampled_from([(True,), (False,), (True, False)])
    return sites, {(place, outward) for place in broken for outward in draw(ways)}


@few
@given(sizes, seeds)
def test_nodes_that_join_are_soon_known_to_all_and_none_is_taken_for_cut(size: list[int], seed: int) -> None:
    sites = Sites(size, seed)
    sites.run(WARM)
    assert {frozenset(node.peers) for node in sites.nodes.values()} == {frozenset(sites.peers)}
    assert len({node.digest for node in sites.nodes.values()}) == 1
    assert sites.cut_views(0) == []


@few
@given(cut_sites(), st.floats(0, 1))
def test_a_cut_is_known_on_each_side_within_3_s_and_a_heal_within_2(
    drawn: tuple[Sites, set[tuple[str, bool]]], moment: float
) -> None:
    sites, cuts = drawn
    sites.run(WARM + moment)
    began = sites.now
    sites.cuts = cuts
    sites.run(began + KNOWN)
    assert sites.wrong() == {}
    settled = {name: len(row) for name, row in sites.views.items()}
    sites.run(began + 15)
    assert {name: len(row) for name, row in sites.views.items()} == settled, "it flaps"
    sites.cuts = set()
    sites.run(sites.now + HEALED)
    assert sites.wrong() == {}
    sites.run(sites.now + 10)
    assert len({node.digest for node in sites.nodes.values()}) == 1
    assert (
        len({tuple(sorted((r.peer.name, *r.version) for r in n.reports.values())) for n in sites.nodes.values()}) == 1
    )


@few
@given(cut_sites())
def test_a_cut_seen_from_a_node_is_never_more_than_the_truth(drawn: tuple[Sites, set[tuple[str, bool]]]) -> None:
    sites, cuts = drawn
    sites.run(WARM)
    sites.cuts = cuts
    truth = {name: sites.cut_from(name) for name in sites.nodes}
    sites.run(WARM + 15)
    assert [(name, at, cut - truth[name]) for name, at, cut in sites.cut_views(WARM) if not cut <= truth[name]] == []


@few
@given(sizes, seeds, st.floats(0.02, 0.5))
def test_one_lost_message_of_a_link_in_a_row_is_no_cut(size: list[int], seed: int, share: float) -> None:
    sites = Sites(size, seed)
    sites.run(WARM)
    last: dict[tuple[str, str], bool] = {}

    def lost(source: str, target: str) -> bool:
        gone = not last.get((source, target), False) and sites.random.random() < share
        last[source, target] = gone
        return gone

    sites.lost = lost
    sites.run(WARM + 60)
    assert sites.cut_views(WARM) == []


@few
@given(sizes, seeds)
def test_an_idle_node_beats_once_a_second_in_its_site_and_one_in_each_over_the_uplink(
    size: list[int], seed: int
) -> None:
    sites = Sites(size, seed)
    sites.run(WARM)
    sites.sent.clear()
    sites.run(WARM + 10)
    beyond = len(size) - 1
    for name, peer in sites.peers.items():
        mine = sum(other.site == peer.site for other in sites.peers.values())
        most = (mine - 1 if mine <= 3 else 1) + (beyond if peer.site == HUB else 1)
        assert sites.sent.get(name, 0) <= 11 * most


@few
@given(seeds, st.integers(2, 6), st.integers(1, 6))
def test_a_node_that_starts_anew_is_the_same_node_in_a_later_life(seed: int, hub: int, other: int) -> None:
    sites = Sites([hub, other], seed)
    sites.run(WARM)
    name = max(sites.peers)
    sites.start(name, 0.0, life=2)
    sites.run(WARM + 4)
    assert sites.wrong() == {}
    assert {node.reports[name].life for node in sites.nodes.values()} == {2}


@few
@given(seeds, st.integers(2, 6), st.integers(1, 6))
def test_a_node_that_forgot_how_often_it_started_is_soon_the_same_to_all(seed: int, hub: int, other: int) -> None:
    sites = Sites([hub, other], seed)
    sites.run(WARM)
    name = max(sites.peers)
    sites.start(name, 0.0)
    sites.run(WARM + 4)
    assert sites.wrong() == {}
    assert len({node.reports[name].version for node in sites.nodes.values()}) == 1
