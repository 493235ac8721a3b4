from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos import processes
from tests.chaos.plan import KINDS, draw

WORLD = replace(processes.WORLD, versions=5, calls={"near": 7})


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_gives_the_same_plan_each_time(seed: int) -> None:
    assert draw(seed, WORLD) == draw(seed, WORLD)
    assert draw(seed, WORLD) != draw(seed + 1, WORLD)


def test_every_kind_of_fault_comes_within_100_seeds_and_hits_what_it_can() -> None:
    faults = [fault for seed in range(100) for fault in draw(seed, WORLD).faults]
    assert {fault.kind for fault in faults} == set(KINDS)
    assert all(fault.target in WORLD.targets[fault.kind] for fault in faults)
    assert all(0 <= fault.at <= WORLD.span and 0 < fault.lasts <= WORLD.longest for fault in faults)


def test_a_kind_without_weight_or_target_is_not_drawn() -> None:
    world = replace(WORLD, targets={**WORLD.targets, "full": ()}, weight={"clock": 0.0})
    assert not {fault.kind for seed in range(50) for fault in draw(seed, world).faults} & {"full", "clock"}


def test_a_plan_is_written_to_be_read() -> None:
    plan = draw(3, WORLD)
    first, *faults = str(plan).splitlines()
    assert first.startswith("seed 3; a/0: ")
    assert faults == [str(fault) for fault in plan.faults]
    assert plan.ends == max(fault.at + fault.lasts for fault in plan.faults)
