from __future__ import annotations

import inspect
from typing import Any

import pytest
import ray
from ray.dag import InputNode

import tierflow
from tests.sdk import program


def test_a_plain_call_runs_here_and_now() -> None:
    assert program.add(1) == 2
    assert program.add(1, b=4) == 5
    assert list(program.count(3)) == [0, 1, 2]
    assert program.Outer.inside(3) == -3
    with pytest.raises(KeyError, match="no"):
        program.fail("no")


def test_it_looks_like_the_function() -> None:
    assert program.add.__name__ == "add"
    assert program.add.__doc__ == "Add two numbers."
    assert list(inspect.signature(program.add).parameters) == ["a", "b"]
    assert repr(program.add) == "<task edge/add of tests.sdk.program>"


@pytest.mark.usefixtures("cluster")
class TestOnTheFabric:
    def test_it_runs_on_the_tier_and_gives_a_ray_reference(self) -> None:
        ref = program.where.remote()
        assert isinstance(ref, ray.ObjectRef)
        assert ray.get(ref) == "gw-1"
        assert tierflow.get(program.where.options(tier="device", site=None).remote()) == "cam-1"
        assert tierflow.get(program.where.options(tier=None, node="cloud-1", site=None).remote()) == "cloud-1"
        assert tierflow.get(program.anywhere.remote()) in {"cloud-1", "gw-1", "cam-1"}

    def test_references_are_resolved_and_plain_ray_mixes_in(self) -> None:
        @ray.remote
        def plain(x: int) -> int:
            return x * 10

        assert tierflow.get(program.add.remote(plain.remote(1), b=tierflow.put(2))) == 12
        assert ray.get(plain.remote(program.add.remote(1))) == 20
        ready, waiting = tierflow.wait([program.add.remote(1), program.add.remote(2)], num_returns=2, timeout=30)
        assert [len(ready), len(waiting)] == [2, 0]
        assert tierflow.get(ready) == [2, 3]

    def test_async_functions_and_generators(self) -> None:
        assert tierflow.get(program.slowly.remote(1)) == 2
        assert [tierflow.get(ref) for ref in program.count.remote(3)] == [0, 1, 2]
        assert [tierflow.get(ref) for ref in program.count_slowly.remote(3)] == [0, 1, 2]

    def test_rays_options(self) -> None:
        a, b = program.split.remote((1, 2))  # type: ignore[misc]
        assert ray.get([a, b]) == [1, 2]
        env = program.told.options(runtime_env={"env_vars": {"X": "1"}}).remote(1)
        assert tierflow.get(env) == "builtins.int"

    def test_a_task_calls_itself_and_others(self) -> None:
        assert tierflow.get(program.factorial.remote(4)) == 24

    def test_a_handle_is_an_argument(self) -> None:
        assert tierflow.get(program.told.remote(program.add)) == "tierflow.sdk.task.Task"
        assert tierflow.get(program.told.remote(program.Counter.options(tier=None))) == "tierflow.sdk.actor.Actor"

    def test_an_error_is_both_rays_and_the_users(self) -> None:
        ref = program.fail.remote("no")
        with pytest.raises(KeyError) as caught:
            tierflow.get(ref)
        assert isinstance(caught.value, ray.exceptions.RayTaskError)
        assert "program.py" in str(caught.value)

    def test_wrong_arguments_fail_at_the_call(self) -> None:
        wrong: Any = program.add
        with pytest.raises(TypeError, match="missing a required argument"):
            wrong.remote()

    @pytest.mark.filterwarnings("ignore:DAGNode.execute")
    def test_flows(self) -> None:
        with InputNode() as given:
            flow = program.add.bind(program.slowly.bind(given), 10)
        assert ray.get(flow.execute(1)) == 12
        assert ray.get(flow.execute(5)) == 16
        assert ray.get(program.Counter.bind(3).add.bind(program.add.bind(1)).execute()) == 5

    def test_the_dashboard_says_tier_site_and_function(self) -> None:
        from ray.util.state import list_tasks

        ref = program.where.options(name="look").remote()
        tierflow.get([ref, program.slowly.remote(1)])
        tierflow.placement(ref)
        names = {task.name for task in list_tasks(limit=1000)}
        assert {"edge@plant-1/look", "edge|cloud/slowly"} <= names
