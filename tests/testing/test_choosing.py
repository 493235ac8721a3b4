"""Policies, as a user tries them without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

import tierflow
import tierflow.testing
from tierflow.testing import LocalFabric

PLANT = """
name: plant
hosts: local
nodes:
  - {name: cloud-1, tier: cloud, site: region-1, cpus: 4, speed: 4, price: 0.10 $/h, power: {idle: 60 W, busy: 180 W}}
  - {name: gw-1, tier: edge, site: plant-1, cpus: 2, speed: 2, power: {idle: 6 W, busy: 15 W}}
  - {name: cam-1, tier: device, site: plant-1, power: {idle: 1 W, busy: 4 W}}
  - {name: cam-2, tier: device, site: plant-1, power: {idle: 1 W, busy: 4 W}}
links:
  - {from: cam-1, to: plant-1, rate: 50 Mbit/s, delay: 3 ms, radio: wifi}
  - {from: cam-2, to: plant-1, rate: 50 Mbit/s, delay: 3 ms, radio: wifi}
  - {from: plant-1, to: region-1, rate: 20 Mbit/s, delay: 25 ms, reverse: {price: 0.09 $/GB}}
"""
MEASURED = {"look": 0.02, "recognise": 2.0, "recognise_small": 0.2, "camera": 0.01}


@tierflow.task(node="cam-1")
def camera(size: int) -> bytes:
    return bytes(size)


@tierflow.task
def look(frame: bytes) -> int:
    return len(frame)


@tierflow.task(releases="words")
def recognise(frame: bytes) -> str:
    return "large"


@recognise.variant(accuracy=0.8)
def recognise_small(frame: bytes) -> str:
    return "small"


@tierflow.task
def fail(frame: bytes) -> str:
    raise ValueError("no such frame")


@tierflow.task
def many(count: int) -> Iterator[int]:
    yield from range(count)


@tierflow.task(node="gw-1")
def inside(frame: bytes) -> str:
    return where(recognise.remote(frame))


@tierflow.actor
class Model:
    def name(self) -> str:
        return "model"


@pytest.fixture
def fab() -> Iterator[LocalFabric]:
    with tierflow.testing.fabric(_plant(), durations=MEASURED) as opened:
        yield opened


def _plant(more: str = "") -> Any:
    import yaml

    return yaml.safe_load(PLANT + more)


def where(ref: Any) -> str:
    """The node of a call that is waited for."""
    tierflow.get(ref)
    return tierflow.placement(ref).node


def settled(task: Any, *args: Any) -> str:
    """The node of a call of a function that is known."""
    for _ in range(3):
        tierflow.get(task.remote(*args))
    return where(task.remote(*args))


def picture(size: int = 400_000) -> Any:
    ref = camera.remote(size)
    ray.wait([ref])
    return ref


class TestLatency:
    def test_much_data_and_little_work_stay_together(self, fab: LocalFabric) -> None:
        frame = picture()
        before = fab.sent["plant-1->region-1"]
        assert settled(look, frame) == "cam-1"
        assert fab.sent["plant-1->region-1"] - before < 1000

    def test_little_data_and_much_work_go_to_the_fastest(self, fab: LocalFabric) -> None:
        assert settled(recognise, picture(110_000)) == "cloud-1"
        assert fab.clock.now > 4 * 2.0 / 4

    def test_the_times_of_a_function_are_learned(self, fab: LocalFabric) -> None:
        frame = picture(120_000)
        first = recognise.remote(frame)
        guess = tierflow.explain(first)
        assert guess.compute == pytest.approx(0.01 * 1 / _speed(fab, guess.node))
        node = settled(recognise, frame)
        known = recognise.remote(frame)
        assert tierflow.explain(known).compute == pytest.approx(2.0 / _speed(fab, node), rel=0.02)
        assert (guess.node, node) == ("cam-1", "cloud-1")

    def test_all_nodes_learn_what_one_has_seen(self, fab: LocalFabric) -> None:
        settled(recognise, b"frame")
        assert tierflow.get(inside.remote(b"frame")) == "cloud-1"

    def test_a_result_that_is_not_there_yet_is_an_input_of_the_size_it_is_known_to_have(self, fab: LocalFabric) -> None:
        tierflow.get([look.remote(camera.remote(400_000)) for _ in range(2)])
        known = look.remote(camera.remote(400_000))
        assert [round(item.size, -5) for item in tierflow.explain(known).inputs] == [400_000]
        assert where(known) == "cam-1"
        assert tierflow.explain(known).compute == pytest.approx(0.02, rel=0.1)

    def test_calls_at_once_spread_when_a_node_is_full(self, fab: LocalFabric) -> None:
        settled(recognise, b"frame")
        nodes = [tierflow.placement(recognise.remote(b"frame")).node for _ in range(16)]
        assert nodes[:4] == ["cloud-1"] * 4
        assert {"cloud-1", "gw-1"} <= set(nodes)
        fab.clock.advance(60.0)
        assert tierflow.placement(recognise.remote(b"frame")).node == "cloud-1"

    def test_a_dead_node_is_passed_over_until_it_is_back(self, fab: LocalFabric) -> None:
        assert settled(recognise, b"frame") == "cloud-1"
        fab.lose("cloud-1")
        assert where(recognise.remote(b"frame")) == "gw-1"
        fab.restore("cloud-1")
        assert where(recognise.remote(b"frame")) == "cloud-1"

    def test_actors_and_generators_are_placed_too(self, fab: LocalFabric) -> None:
        assert tierflow.placement(Model.remote()).node == "cloud-1"
        assert tierflow.placement(Model.options(order=("edge",)).remote()).node == "gw-1"
        assert tierflow.placement(next(many.options(order=("device",)).remote(2))).tier == "device"


class TestPolicy:
    def test_an_input_that_stays_on_its_device(self, fab: LocalFabric) -> None:
        frame = picture(110_000)
        assert settled(recognise.options(stay="device"), frame) == "cam-1"
        with pytest.raises(tierflow.NoPlacement, match=r"gw-1 \(edge, plant-1\): .*an input may not leave cam-1"):
            recognise.options(stay="device", tier="edge").remote(frame)

    def test_an_input_that_stays_at_its_site(self, fab: LocalFabric) -> None:
        frame = picture(110_000)
        assert settled(recognise, frame) == "cloud-1"
        before = fab.sent["plant-1->region-1"]
        assert settled(recognise.options(stay="site"), frame) == "gw-1"
        assert fab.sent["plant-1->region-1"] - before < 1000

    def test_a_deadline_that_some_nodes_keep(self, fab: LocalFabric) -> None:
        frame = picture(110_000)
        for node in ("cam-1", "gw-1", "cloud-1"):
            tierflow.get(recognise.options(node=node).remote(frame))
        near = recognise.options(order=("device", "edge"))
        assert settled(near, frame) == "cam-1"
        assert settled(near.options(deadline="1500 ms"), frame) == "gw-1"
        with pytest.raises(tierflow.NoPlacement) as caught:
            recognise.options(deadline="100 ms").remote(frame)
        lines = str(caught.value).splitlines()
        assert lines[0] == "no node can run any/recognise, which asks for 1 CPU, a result in 100 ms:"
        assert [line.split(" (")[0].strip() for line in lines[1:5]] == ["cam-1", "cam-2", "cloud-1", "gw-1"]
        assert all(": would take " in line and line.endswith(", not 100 ms") for line in lines[1:5])
        assert lines[5].startswith("the soonest that a result could be there is after ")

    def test_money(self, fab: LocalFabric) -> None:
        frame = tierflow.put(bytes(200_000))
        assert settled(recognise, frame) == "cloud-1"
        for node in ("cam-1", "cam-2", "gw-1"):
            tierflow.get(recognise.options(node=node).remote(frame))
        assert settled(recognise.options(minimise="money"), frame) == "cloud-1"
        assert settled(recognise.options(minimise="money"), picture(110_000)) != "cloud-1"
        assert settled(recognise.options(minimise={"latency": 1, "money": 1}), picture(110_000)) == "cloud-1"

    def test_a_budget(self, fab: LocalFabric) -> None:
        frame = picture(110_000)
        assert settled(recognise, frame) == "cloud-1"
        assert settled(recognise.options(budget="0.000002 $"), frame) == "gw-1"
        with pytest.raises(tierflow.NoPlacement, match=r"cloud-1 \(cloud, region-1\): would cost \$\S+, not \$1e-09"):
            recognise.options(budget=1e-9).remote(frame)

    def test_bytes(self, fab: LocalFabric) -> None:
        frame = picture()
        assert settled(recognise, frame) == "cloud-1"
        assert settled(recognise.options(max_bytes="100 kB"), frame) == "cam-1"
        assert settled(recognise.options(minimise="bytes"), frame) == "cam-1"
        with pytest.raises(tierflow.NoPlacement, match=r"gw-1 \(edge, plant-1\): would send \S+ kB, not 100 kB"):
            recognise.options(max_bytes="100 kB", tier=("edge", "cloud")).remote(frame)

    def test_an_order_of_tiers(self, fab: LocalFabric) -> None:
        assert settled(recognise.options(order=("edge", "cloud")), b"frame") == "gw-1"
        assert settled(recognise.options(tier=("edge", "cloud")), b"frame") == "gw-1"
        assert settled(recognise.options(order=("edge", "cloud"), deadline="800 ms"), b"frame") == "cloud-1"

    def test_tiers_in_order_fall_back_while_the_first_is_busy(self, fab: LocalFabric) -> None:
        calls = [recognise.options(tier=("edge", "cloud")).remote(b"frame") for _ in range(3)]
        assert [tierflow.placement(ref).node for ref in calls] == ["gw-1", "gw-1", "cloud-1"]

    def test_an_accuracy_that_a_variant_has(self, fab: LocalFabric) -> None:
        exact, rough, floor = (recognise.options(accuracy=share) for share in (1.0, 0.7, 0.9))
        for task in (recognise, exact, floor):
            assert tierflow.get(task.remote(b"frame")) == "large"
        for node in ("cam-1", "gw-1", "cloud-1"):
            tierflow.get([task.options(node=node).remote(b"frame") for task in (recognise, recognise_small)])
        ref = rough.remote(b"frame")
        assert tierflow.get(ref) == "small"
        why = tierflow.explain(ref)
        assert (why.function, why.variant) == ("recognise", f"{__name__}.recognise_small")
        assert why.observed is not None
        assert why.observed.compute == pytest.approx(0.2 / _speed(fab, why.node))

    def test_the_policy_of_the_cluster_file(self) -> None:
        with tierflow.testing.fabric(_plant("policy: {order: [edge]}\n"), durations=MEASURED):
            assert settled(recognise, b"frame") == "gw-1"
            assert settled(recognise.options(order=("device",)), b"frame").startswith("cam-")

    def test_the_policy_of_the_program(self) -> None:
        with tierflow.testing.fabric(_plant("policy: {order: [edge], deadline: 5 s}\n"), durations=MEASURED):
            frame = picture(110_000)
            tierflow.init(policy={"order": ("device",)})
            assert settled(recognise, frame) == "cam-1"
            assert "with a result in 5 s" in str(tierflow.explain(recognise.remote(frame)))
            assert settled(recognise.options(order=("edge",)), frame) == "gw-1"
            tierflow.init(policy={})
            assert settled(recognise, frame) == "gw-1"
            tierflow.init(policy={"order": ("device",)})
        with tierflow.testing.fabric(_plant(), durations=MEASURED):
            assert settled(recognise, b"frame") == "cloud-1"  # what was said in a fabric ends with it


class TestExplain:
    def test_a_call_is_explained_before_and_after_it_ran(self, fab: LocalFabric) -> None:
        frame = picture(110_000)
        settled(recognise, frame)
        ref = recognise.options(stay="site", deadline="5 s").remote(frame)
        text = str(tierflow.explain(ref))
        assert text.startswith("recognise, called from cloud-1 at 1970-01-01T00:00:")
        for line in (
            "asked      1 CPU",
            "policy     the least latency, with a result in 5 s, inputs that stay at their site",
            "input      111 kB on cam-1",
            "placed on  gw-1: of 3 ways to run it, it has the least latency: ",
            "observed   nothing yet",
            "ruled out: an input may not leave plant-1",
        ):
            assert f"\n  {line}" in text, text
        tierflow.get(ref)
        why = tierflow.explain(ref)
        assert why.observed is not None
        assert (why.observed.node, why.observed.compute) == ("gw-1", pytest.approx(1.0))
        assert "observed   1.0" in str(why)
        assert why.ratio == pytest.approx(1.0, rel=0.3)
        assert type(why).from_json(why.to_json()) == why

    def test_an_error_is_told(self, fab: LocalFabric) -> None:
        ref = fail.remote(b"frame")
        with pytest.raises(ValueError, match="no such frame"):
            tierflow.get(ref)
        assert "ended in ValueError: no such frame" in str(tierflow.explain(ref))

    def test_a_call_that_ran_elsewhere(self, fab: LocalFabric) -> None:
        calls = [recognise.options(tier=("edge", "cloud")).remote(b"frame") for _ in range(3)]
        tierflow.get(calls)
        assert tierflow.explain(calls[2]).note.startswith("it ran on cloud-1, not on gw-1")

    def test_what_is_not_known(self, fab: LocalFabric) -> None:
        with pytest.raises(tierflow.FabricError, match=r"nothing is known of how .* was placed; ask on the node"):
            tierflow.explain(next(many.remote(1)))
        wrong: Any = Model.remote()
        with pytest.raises(TypeError, match="takes an object reference, not LocalHandle"):
            tierflow.explain(wrong)

    def test_the_same_program_is_explained_the_same(self) -> None:
        def run() -> list[str]:
            with tierflow.testing.fabric(_plant(), durations=MEASURED):
                calls = [look.remote(picture(size)) for size in (1000, 200_000, 500_000)]
                calls += [recognise.remote(bytes(size)) for size in range(0, 100_000, 9_000)]
                tierflow.get(calls)
                return [str(tierflow.explain(ref)) for ref in calls]

        assert run() == run()


def test_the_example_of_the_cluster_file(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text(PLANT)
    with tierflow.testing.fabric(file, durations=MEASURED):
        assert settled(recognise, b"frame") == "cloud-1"


def _speed(fab: LocalFabric, node: str) -> float:
    return fab.topology.node(node).speed
