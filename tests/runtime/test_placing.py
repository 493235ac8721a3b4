"""The choices of one process, in a world whose truth is known and whose time is made here."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import yaml

from tests.runtime.world import CLOUD, PLANT, UP, World, settled, world
from tierflow.cost import Input, Queue, Transfer
from tierflow.cost.transfer import INLINE
from tierflow.errors import NoPlacement
from tierflow.planning import Policy
from tierflow.runtime.flight import Seen
from tierflow.runtime.news import Update
from tierflow.runtime.placing import OWN, REMEMBERED
from tierflow.topology import ClusterSpec
from tierflow.topology.column import Value
from tierflow.topology.conditions import LinkChange, NodeChange

__all__ = ["settled", "world"]


class TestLoad:
    def test_calls_on_their_way_spread_over_equal_nodes(self, settled: World) -> None:
        edge = Policy(order=("edge",))
        flights = [settled.start(policy=edge) for _ in range(6)]
        assert Counter(flight.choice.node for flight in flights) == {"gw-1": 2, "gw-2": 2, "gw-3": 2}
        assert {flight.choice.node for flight in flights[:3]} == {"gw-1", "gw-2", "gw-3"}

    def test_calls_are_counted_until_they_end(self, settled: World) -> None:
        flight, other = settled.start(weight=8), settled.start()
        assert flight.choice.node == other.choice.node == "cloud-1"
        assert settled.load() == {"cloud-1": Queue(9, pytest.approx(0.9, rel=0.1))}
        settled.finish(flight)
        assert settled.load() == {"cloud-1": Queue(1, pytest.approx(0.1, rel=0.1))}
        settled.placing.end(other, None, "ValueError: no")
        assert settled.load() == {}

    def test_a_call_that_ran_elsewhere_leaves_the_queue_that_it_joined(self, settled: World) -> None:
        flight = settled.start()
        settled.finish(flight, node="gw-2")
        assert settled.load() == {}
        known = settled.placing.known(flight.key)
        assert known == Input("cam-1", 100.0)

    def test_a_full_node_is_waited_for_only_as_long_as_it_pays(self, settled: World) -> None:
        nodes = [settled.start().choice.node for _ in range(24)]
        assert nodes[:4] == ["cloud-1"] * 4
        assert {"gw-1", "gw-2", "gw-3"} < set(nodes)
        assert "cam-1" not in nodes


class TestLinks:
    def test_one_slow_call_moves_the_next(self, settled: World) -> None:
        assert [settled.call(30_000) for _ in range(5)] == ["cloud-1"] * 5
        before = settled.rate()
        settled.true = settled.true.changed(links={UP: LinkChange(rate=Value(6e4))})
        assert settled.call(30_000) == "cloud-1"
        assert settled.rate() == pytest.approx(6e4, rel=0.3)
        assert settled.call(30_000).startswith("gw-")
        assert before > 2e6

    def test_what_was_seen_here_goes_before_what_others_saw_for_a_while(self, settled: World) -> None:
        settled.true = settled.true.changed(links={UP: LinkChange(rate=Value(6e4))})
        settled.call(30_000)
        others = Update(("", 2, 1), links={UP: LinkChange(rate=Value(2.4e6, 1e5))})
        settled.now += OWN / 2
        settled.placing.learn(others)
        assert settled.rate() == pytest.approx(6e4, rel=0.3)
        settled.now += OWN
        settled.placing.learn(others)
        assert settled.rate() == pytest.approx(2.4e6)
        assert settled.call(30_000) == "cloud-1"

    def test_what_others_saw_of_other_links_and_nodes_counts_at_once(self, settled: World) -> None:
        settled.call(30_000)
        slow = {UP: LinkChange(delay=Value(2.0, 0.01))}
        busy = {"gw-1": NodeChange(busy=Value(0.9), dispatch=Value(0.5, 0.01))}
        settled.now += OWN + 1
        settled.placing.learn(Update(("", 2, 1), busy, slow))
        assert settled.start().choice.node == "gw-2"

    def test_a_node_that_was_used_keeps_its_own_dispatch_but_not_its_load(self, settled: World) -> None:
        at = settled.true.fixed.nodes["cloud-1"]
        for _ in range(8):
            settled.finish(settled.start(), wait=0.05)
        own = settled.placing.conditions.dispatch.at(at).value
        assert own > 0.012
        settled.placing.learn(Update(("", 2, 1), {"cloud-1": NodeChange(busy=Value(0.5), dispatch=Value(0.001))}))
        now = settled.placing.conditions
        assert (now.dispatch.at(at).value, now.busy.at(at).value) == (own, 0.5)

    @pytest.mark.parametrize("why", ["first", "after another", "before another", "input not made", "failed"])
    def test_a_time_that_has_other_causes_says_nothing_of_links(self, settled: World, why: str) -> None:
        if why == "after another":
            settled.start(30_000)
        flight = settled.start(30_000, tells=why != "input not made")
        if why == "before another":
            settled.start(30_000)
        if why == "failed":
            settled.now += 5.0
            settled.placing.end(flight, None, "OSError: gone")
        else:
            settled.finish(flight, first=why == "first", wait=5.0)
        _, sights, _ = settled.placing.news()
        assert sights == ()
        assert settled.rate() > 2e6

    def test_a_large_input_disturbs_calls_to_all_nodes(self, settled: World) -> None:
        near = Policy(order=("edge",))
        flight, small = settled.start(30_000, near), settled.start(30_000)
        assert (flight.choice.node, small.choice.node) == ("gw-1", "cloud-1")
        assert flight.tells
        assert small.tells
        large = settled.start(INLINE + 1.0, near)
        assert large.choice.node == "gw-2"
        assert not flight.tells
        assert not small.tells
        assert large.tells
        assert not settled.start(1000.0, near).tells
        for ended in (flight, small, large):
            settled.finish(ended)
        assert settled.start(1000.0, near).tells

    def test_the_fetch_of_a_large_result_says_what_the_way_back_carries(self, settled: World) -> None:
        flight = settled.start()
        settled.finish(flight, result=1_000_000)
        assert settled.placing.known(flight.key) == Input("cloud-1", 1e6)
        settled.placing.news()
        settled.placing.fetched(flight.key, settled.now, settled.now + 10.0)
        settled.placing.fetched(flight.key, settled.now, settled.now + 99.0)  # it is here now
        _, sights, _ = settled.placing.news()
        assert sights == (Transfer("cloud-1", "cam-1", 1e6, 10.0, settled.now + 10.0),)
        assert flight.observed is not None
        assert flight.observed.total == pytest.approx(10.0 + settled.now - flight.began)

    def test_what_came_packed_says_what_the_way_carries(self, settled: World) -> None:
        settled.placing.crossed("cloud-1", 500_000, 10.0, settled.now)
        settled.placing.crossed("gone", 500_000, 10.0, settled.now)
        assert settled.placing.news()[1] == (Transfer("cloud-1", "cam-1", 500_000, 10.0, settled.now),)

    def test_a_fetch_that_began_before_the_call_ended_says_only_how_long_it_took(self, settled: World) -> None:
        flight = settled.start()
        asked = settled.now
        settled.placing.fetched(flight.key, asked, asked + 1.0)  # nobody knows that it has ended
        settled.finish(flight, result=1_000_000)
        settled.placing.news()
        settled.placing.fetched(flight.key, asked, settled.now + 2.0)
        assert flight.fetched == pytest.approx(2.0)
        assert settled.placing.news()[1] == ()


class TestProfiles:
    def test_times_are_learned(self, world: World) -> None:
        guessed = world.start(policy=CLOUD)
        assert guessed.choice.compute == pytest.approx(0.01 / 4)
        world.finish(guessed)
        assert world.start(policy=CLOUD).choice.compute == pytest.approx(0.1, rel=0.02)

    def test_a_first_call_in_a_process_is_told_as_one(self, world: World) -> None:
        world.finish(world.start(policy=CLOUD), first=True)
        assert [sample.first for sample in world.placing.news()[0]] == [True]
        world.finish(world.start(policy=CLOUD))
        (sample,) = world.placing.news()[0]
        assert (sample.function, sample.kind, sample.size) == ("look", "cloud 4 CPU x4", 1000.0)
        assert (sample.seconds, sample.speed, sample.result) == (pytest.approx(0.1), 4.0, 100.0)

    def test_not_from_calls_that_shared_a_core(self, world: World) -> None:
        *own, beside = (world.start(policy=CLOUD) for _ in range(5))  # it has four cores
        assert [flight.alone for flight in own] == [True] * 4
        assert not beside.alone
        world.finish(beside)
        assert world.placing.news()[0] == ()
        world.finish(own[0])
        assert len(world.placing.news()[0]) == 1

    def test_from_a_call_that_ray_sent_to_an_idle_node(self, world: World) -> None:
        world.start(policy=CLOUD)
        world.finish(world.start(policy=CLOUD), node="gw-1")
        (sample,) = world.placing.news()[0]
        assert sample.kind == "edge 1 CPU x1"

    def test_the_size_is_that_which_the_worker_saw(self, world: World) -> None:
        flight = world.start(1024.0)
        world.placing.end(flight, Seen("cloud-1", 0.1, 100, 400_000.0))
        (sample,) = world.placing.news()[0]
        assert sample.size == 400_000.0

    def test_not_from_a_node_that_nobody_knows_yet(self, world: World) -> None:
        flight = world.start()
        world.placing.end(flight, Seen("gw-9", 0.1, 100, 1000.0))
        assert world.placing.news()[:2] == ((), ())
        assert world.load() == {}

    def test_what_others_learned_counts(self, settled: World) -> None:
        assert settled.start().choice.compute == pytest.approx(0.1, rel=0.1)

    def test_a_node_that_joins_can_be_chosen(self, settled: World) -> None:
        plain = yaml.safe_load(PLANT)
        plain["nodes"].append({"name": "gw-0", "tier": "edge", "site": "plant-1", "cpus": 8, "speed": 40})
        settled.placing.learn(Update(("", 2, 1), spec=ClusterSpec.model_validate(plain)))
        assert settled.start().choice.node == "gw-0"

    def test_what_others_saw_of_a_link_waits_until_what_was_seen_here_is_old(self, settled: World) -> None:
        def up(column: str) -> float:
            now = settled.placing.conditions
            return float(getattr(now, column).value[now.fixed.links[UP]])

        settled.true = settled.true.changed(links={UP: LinkChange(rate=Value(6e4))})
        settled.call(30_000)
        mine = up("rate")
        told = LinkChange(rate=Value(2.4e6, 1e5), delay=Value(0.05, 1e-4))
        settled.placing.learn(Update(("", 9, 9), links={UP: told}))
        assert (up("rate"), up("delay")) == (mine, 0.05)  # delays are not seen here
        settled.now += OWN + 1.0
        settled.placing.learn(Update(("", 9, 9)))
        assert up("rate") == 2.4e6


class TestNews:
    def test_it_is_told_once(self, settled: World) -> None:
        settled.call()
        samples, sights, lines = settled.placing.news()
        assert (len(samples), len(sights)) == (1, 1)
        assert any(line.startswith('{"call":') for line in lines)
        assert settled.placing.news() == ((), (), [])


class TestWhatIsKnownOfACall:
    def test_it_succeeded_when_its_node_said_so_and_not_in_an_error(self, settled: World) -> None:
        first, second = settled.start(), settled.start()
        assert settled.placing.succeeded(first.key) == math.inf
        settled.finish(first)
        settled.placing.end(second, None, "ValueError: no")
        assert settled.placing.succeeded(first.key) == settled.now
        assert {settled.placing.succeeded(key) for key in (second.key, b"x" * 28)} == {math.inf}

    def test_how_long_one_takes_is_known_of_what_ran_twice(self, world: World) -> None:
        calls = [world.start() for _ in range(3)]
        assert world.placing.usual(calls[0].key) == world.placing.usual(b"x" * 28) == math.inf
        world.finish(calls[0], first=True)
        assert world.placing.usual(calls[1].key) == math.inf
        world.finish(calls[1])
        large = world.start(size=400_000)
        why = world.placing.explain(large.key)
        assert why is not None
        assert why.predicted == pytest.approx(world.placing.usual(large.key), rel=1e-4)  # with its transfer


class TestExplain:
    def test_before_and_after_its_end(self, settled: World) -> None:
        flight = settled.start(30_000, Policy(deadline=1.0))
        why = settled.placing.explain(flight.key)
        assert why is not None
        assert (why.node, why.caller, why.when, why.observed) == ("cloud-1", "cam-1", 1e9, None)
        assert why.call == flight.key[:24].hex()
        settled.finish(flight)
        why = settled.placing.explain(flight.key)
        assert why is not None
        assert why.observed is not None
        assert (why.observed.node, why.observed.size) == ("cloud-1", 100)
        assert why.ratio == pytest.approx(1.0, rel=0.05)
        assert "1 CPU, a result in 1 s" not in why.asked
        assert "with a result in 1 s" in str(why)

    def test_any_result_of_the_call_will_do_and_others_will_not(self, settled: World) -> None:
        flight = settled.start()
        assert settled.placing.explain(flight.key[:24] + b"\0\0\0\2") is not None
        assert settled.placing.explain(b"b" * 28) is None

    def test_an_error(self, settled: World) -> None:
        flight = settled.start()
        settled.now += 1.5
        settled.placing.end(flight, None, "ValueError: no")
        why = settled.placing.explain(flight.key)
        assert why is not None
        assert why.observed is not None
        assert (why.observed.total, why.observed.error, why.ratio) == (1.5, "ValueError: no", None)

    def test_the_latest_are_remembered(self, settled: World) -> None:
        flights = [settled.start() for _ in range(3)]
        call, choice = flights[0].call, flights[0].choice
        for number in range(REMEMBERED - 1):
            settled.placing.begin(
                (number + 100 << 32 | 1).to_bytes(28, "big"), "any/look", call, choice, 1, settled.now
            )
        assert settled.placing.explain(flights[1].key) is None
        assert settled.placing.explain(flights[2].key) is not None

    def test_no_placement_counts_nothing(self, settled: World) -> None:
        with pytest.raises(NoPlacement, match=r"cloud-1 .*: would take"):
            settled.start(policy=Policy(deadline=0.01))
        assert settled.load() == {}
