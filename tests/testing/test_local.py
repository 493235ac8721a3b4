from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.dag import InputNode
from ray.exceptions import GetTimeoutError

import tierflow
import tierflow.testing
from tests.sdk import program
from tierflow.testing import LocalFabric

SPEC = "clusters/demo.yaml"


def here() -> str:
    return str(ray.get_runtime_context().get_node_labels()["tierflow.io/node"])


@tierflow.task(tier="edge")
def where(depth: int = 0) -> list[str]:
    return [here(), *(tierflow.get(where.options(tier="device").remote(depth - 1)) if depth else [])]


@tierflow.task(tier="edge")
def grow(items: list[int]) -> list[int]:
    items.append(len(items))
    return items


@tierflow.task(tier="device")
def camera(size: int) -> bytes:
    return bytes(size)


@tierflow.task(tier="cloud")
def weigh(data: bytes) -> int:
    return len(data)


@tierflow.task
async def soon(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


@tierflow.task
def endless() -> Iterator[int]:
    yield from count()


@tierflow.task
async def some(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


@tierflow.task
def fail(text: str) -> Any:
    raise KeyError(text)


@tierflow.task(retry_exceptions=True, max_retries=2)
def flaky(tries: list[int]) -> int:
    raise OSError(len(tries))


@tierflow.actor(tier="edge")
class Model:
    def __init__(self, version: int = 0) -> None:
        if version < 0:
            raise ValueError("no such version")
        self.version = version

    def train(self) -> int:
        self.version += 1
        return self.version

    @ray.method(num_returns=2)
    def both(self) -> tuple[int, str]:
        return self.version, here()

    def parts(self, n: int) -> Iterator[int]:
        yield from range(n)


@tierflow.actor
class Asker:
    async def ask(self, model: Any) -> int:
        return int(await model.train.remote())

    async def parts(self) -> AsyncIterator[int]:
        yield await soon.remote(1)


@pytest.fixture
def fab() -> Iterator[LocalFabric]:
    with tierflow.testing.fabric() as opened:
        yield opened


@pytest.mark.usefixtures("fab")
class TestCalls:
    def test_a_task_runs_where_it_asked_to(self) -> None:
        ref = where.remote(1)
        assert isinstance(ref, ray.ObjectRef)
        assert ray.get(ref) == ["gw-1", "cam-1"]
        placed = tierflow.placement(ref)
        assert (placed.node, placed.why) == ("gw-1", "asked for tier edge; gw-1 is the only node that fits")

    def test_arguments_and_results_are_copies(self) -> None:
        items = [0]
        ref = grow.remote(items)
        assert tierflow.get(ref) == [0, 1]
        assert items == [0]
        tierflow.get(ref).append(9)
        assert tierflow.get(ref) == [0, 1]
        with pytest.raises(TypeError, match="pickle"):
            grow.remote(threading.Lock())  # type: ignore[arg-type]

    def test_references_in_values_stay_references(self) -> None:
        inner = soon.remote(1)
        outer = tierflow.put({"inner": inner})
        assert tierflow.get(tierflow.get(outer)["inner"]) == 2
        assert tierflow.get(soon.remote(inner)) == 3

    def test_generators_make_items_as_they_are_asked_for(self) -> None:
        refs = endless.remote()
        assert [tierflow.get(next(refs)) for _ in range(3)] == [0, 1, 2]
        assert [tierflow.get(ref) for ref in some.remote(2)] == [0, 1]

    def test_awaiting(self) -> None:
        async def program() -> list[int]:
            model = Model.remote(3)
            items = [await ref async for ref in some.remote(2)]
            return [await soon.remote(1), await Asker.remote().ask.remote(model), *items]

        assert asyncio.run(program()) == [2, 4, 0, 1]

    def test_an_error_reaches_who_gets_it(self) -> None:
        ref = soon.remote(fail.remote("no"))
        with pytest.raises(KeyError) as caught:
            tierflow.get(ref)
        assert isinstance(caught.value, ray.exceptions.RayTaskError)
        with pytest.raises(OSError, match="1"):
            tierflow.get(flaky.remote([1]))
        wrong: Any = soon
        with pytest.raises(TypeError, match="missing a required argument"):
            wrong.remote()

    def test_what_no_node_can_run_is_refused_as_on_a_cluster(self) -> None:
        with pytest.raises(tierflow.NoPlacement, match="no tier egde; did you mean edge"):
            where.options(tier="egde").remote()
        with pytest.raises(tierflow.NoPlacement, match=r"gw-1 \(edge, plant-1\): has 1 CPU, not 2 CPU"):
            where.options(num_cpus=2).remote()

    @pytest.mark.filterwarnings("ignore:DAGNode.execute")
    def test_flows(self) -> None:
        with InputNode() as given:
            flow = soon.bind(soon.bind(given))
        assert ray.get(flow.execute(1)) == 3
        assert ray.get(Model.bind(3).train.bind().execute()) == 4


@pytest.mark.usefixtures("fab")
class TestActors:
    def test_an_actor_keeps_its_state(self) -> None:
        model = Model.remote(1)
        assert ray.get([model.train.remote(), model.train.remote()]) == [2, 3]
        assert ray.get(model.both.remote()) == [3, "gw-1"]
        assert [ray.get(ref) for ref in model.parts.remote(2)] == [0, 1]
        assert [ray.get(ref) for ref in Asker.remote().parts.remote()] == [2]
        assert tierflow.placement(model).tier == "edge"
        with pytest.raises(AttributeError, match="no method 'test'"):
            _ = model.test

    def test_names(self) -> None:
        model = Model.options(name="m").remote()
        assert ray.get_actor("m") == model
        assert Model.options(name="m", get_if_exists=True).remote() == model
        with pytest.raises(ValueError, match="already taken"):
            Model.options(name="m").remote()
        ray.kill(model)
        with pytest.raises(ValueError, match="Failed to look up"):
            ray.get_actor("m")

    def test_dead_actors(self, fab: LocalFabric) -> None:
        born_dead, killed, lost = Model.remote(-1), Model.remote(), Model.remote()
        ray.kill(killed)
        with pytest.raises(ray.exceptions.ActorDiedError, match="no such version"):
            ray.get(born_dead.train.remote())
        with pytest.raises(ray.exceptions.ActorDiedError, match="killed"):
            ray.get(killed.train.remote())
        fab.lose("gw-1")
        with pytest.raises(ray.exceptions.ActorDiedError, match="its node gw-1 is lost"):
            ray.get(lost.train.remote())
        with pytest.raises(tierflow.NoPlacement, match="it is not alive"):
            Model.remote()
        fab.restore("gw-1")
        assert ray.get(Model.remote().train.remote()) == 1


class TestTime:
    def test_data_takes_the_time_of_its_path(self) -> None:
        with tierflow.testing.fabric() as fab:
            picture = camera.remote(1_000_000)
            assert fab.clock.now == 0
            assert tierflow.get(weigh.remote(picture)) == 1_000_000
            assert fab.sent["plant-1->region-1"] == pytest.approx(1_000_000, rel=0.001)
            assert fab.clock.now == pytest.approx(0.025 * 2 + 1_000_000 / 2.5e6, rel=0.01)
            assert tierflow.traffic() == fab.sent

    def test_a_value_travels_to_a_node_once(self) -> None:
        with tierflow.testing.fabric() as fab:
            picture = camera.remote(1_000_000)
            tierflow.get([weigh.remote(picture), weigh.remote(picture)])
            assert fab.sent["plant-1->region-1"] == pytest.approx(1_000_000, rel=0.001)

    def test_work_takes_the_time_that_is_declared(self) -> None:
        with tierflow.testing.fabric(durations={"soon": 1.0, "Model.train": 2.0, "endless": 0.5}) as fab:
            on = soon.options(node="cloud-1")
            first, second = on.remote(1), on.remote(2)
            assert fab.ready_at(first) == pytest.approx(1.0)
            assert fab.ready_at(second) == pytest.approx(2.0)
            model = Model.remote()
            model.train.remote()
            assert fab.ready_at(model.train.remote()) == pytest.approx(4.0, abs=0.2)
            items = endless.options(node="cloud-1").remote()
            next(items)
            assert fab.ready_at(next(items)) == pytest.approx(3.0)

    def test_waiting(self) -> None:
        with tierflow.testing.fabric(durations={"soon": 1.0}) as fab:
            refs = [soon.options(node="cloud-1").remote(i) for i in range(3)]
            assert ray.wait(refs, timeout=0.5) == ([], refs)
            assert fab.clock.now == 0.5
            assert ray.wait(refs, num_returns=2) == (refs[:2], refs[2:])
            assert fab.clock.now == pytest.approx(2.0)
            with pytest.raises(ray.exceptions.GetTimeoutError):
                ray.get(refs[2], timeout=0.25)
            assert fab.clock.now == pytest.approx(2.25)

    def test_the_same_program_gives_the_same_times(self) -> None:
        def run() -> tuple[float, dict[str, int]]:
            with tierflow.testing.fabric(SPEC, durations={"camera": 0.01}) as fab:
                tierflow.get([weigh.remote(camera.remote(n * 1000)) for n in range(9)])
                return fab.clock.now, dict(fab.sent)

        assert run() == run()


def test_fabrics_nest_and_leave_ray_as_it_was() -> None:
    before = ray.get
    with tierflow.testing.fabric() as outer, tierflow.testing.fabric(SPEC) as inner:
        assert len(tierflow.nodes()) == len(inner.members()) == 5
        stranger = tierflow.put(1)
    assert ray.get is before
    with tierflow.testing.fabric(), pytest.raises(tierflow.FabricError, match="is not of this fabric"):
        tierflow.get(stranger)
    assert len(outer.members()) == 3


ALONE = """
import ray, tierflow.testing
plain = ray.remote(lambda: 1)
with tierflow.testing.fabric():
    try:
        plain.remote()
    except ray.exceptions.RaySystemError as error:
        print(error)
"""


def test_plain_ray_starts_no_cluster_inside() -> None:
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert "Ray has not been started yet" in done.stdout


def test_a_stream_is_read_closed_and_fails_as_on_a_cluster() -> None:
    log: list[object] = []

    @tierflow.task(tier="edge", num_cpus=0)
    def frames(n: int) -> Iterator[int]:
        try:
            for i in range(n):
                log.append(i)
                yield i
            raise KeyError("no more")
        finally:
            log.append("end")

    with tierflow.testing.fabric(durations={"frames": 2.0}) as fab:
        stream = tierflow.stream(frames.remote(2), timeout=1.0)
        for _ in range(2):
            with pytest.raises(GetTimeoutError):
                next(stream)
        assert next(stream) == 0
        assert fab.clock.now > 2.0
        stream.close()
        assert list(stream) == []
        assert log == [0, "end"]
        stream = tierflow.stream(frames.remote(2))
        assert [next(stream), next(stream)] == [0, 1]
        with pytest.raises(KeyError):
            next(stream)
        wrong: Any = frames.remote
        with pytest.raises(TypeError, match="generator"):
            tierflow.stream(wrong)
        for item in tierflow.stream(program.Counter.remote().upto.remote(3)):
            assert item == 0
            break
