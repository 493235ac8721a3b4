from __future__ import annotations

import pickle

import pytest
import ray
from ray.actor import ActorHandle

import tierflow
from tests.sdk import program


def test_a_plain_instance_lives_here() -> None:
    counter = program.Counter(3)
    assert counter.add() == 4
    assert isinstance(counter, program.Counter)
    assert not isinstance(3, program.Counter)
    assert issubclass(program.DoubleCounter.raw, program.Counter)
    assert program.Counter.step == 2
    assert program.Counter.twice(4) == 8
    assert program.Counter.__doc__ == "Counts."
    assert program.Point(3, y=4).norm() == 25
    assert program.Point(1) == program.Point(1)


def test_inheriting_from_an_actor_is_inheriting_from_its_class() -> None:
    assert program.DoubleCounter(1).add(2) == 5
    assert isinstance(program.DoubleCounter(), program.Counter)


def test_instances_pickle() -> None:
    assert pickle.loads(pickle.dumps(program.Point(3, 4))) == program.Point(3, 4)
    assert pickle.loads(pickle.dumps(program.DoubleCounter(3))).value == 3


def test_what_the_class_has_not_the_handle_has_not() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = program.Counter.nothing


@pytest.mark.usefixtures("cluster")
class TestOnTheFabric:
    def test_it_lives_on_the_tier_and_is_a_ray_actor(self) -> None:
        counter = program.Counter.remote(1)
        assert isinstance(counter, ActorHandle)
        assert tierflow.get(counter.where.remote()) == "gw-1"
        assert tierflow.get(counter.add.remote(2)) == 3
        assert tierflow.get(counter.later.remote(2)) == 5
        assert [tierflow.get(ref) for ref in counter.upto_later.remote(2)] == [0, 1]
        assert tierflow.get(counter.me.remote()).value == 5
        assert tierflow.get(counter.twice.remote(4)) == 8
        placed = tierflow.placement(counter)
        assert (placed.node, placed.tier, placed.site) == ("gw-1", "edge", "plant-1")
        assert placed.why == "asked for tier edge; gw-1 is the only node that fits"

    def test_other_kinds_of_classes(self) -> None:
        point, bare, double = program.Point.remote(3, y=4), program.Bare.remote(), program.DoubleCounter.remote(1)
        assert tierflow.get(point.norm.remote()) == 25
        assert tierflow.get(bare.hello.remote()) == "hello"
        assert tierflow.get(double.add.remote(2)) == 5

    def test_a_named_actor_is_found_and_the_dashboard_says_the_tier(self) -> None:
        counter = program.Counter.options(name="tally", site="plant-1", max_restarts=1).remote()
        assert tierflow.get(ray.get_actor("tally").add.remote()) == 1
        again = program.Counter.options(name="tally", get_if_exists=True).remote()
        assert tierflow.get(again.add.remote()) == 2
        assert repr(counter).startswith("Actor(edge@plant-1/Counter, ")
