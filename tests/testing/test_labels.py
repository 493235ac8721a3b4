"""Labels in a fabric in this process: the same is refused as on the real one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tierflow
import tierflow.testing
from tierflow.testing import LocalFabric

FRAME = np.zeros(1000)


@pytest.fixture
def fab() -> Iterator[LocalFabric]:
    with tierflow.testing.fabric("clusters/demo.yaml") as fab:
        yield fab


@tierflow.task(node="cam-1", stay="device")
def capture() -> np.ndarray:
    return FRAME


@tierflow.task(node="cam-1", stay="site")
def history() -> np.ndarray:
    return FRAME


@tierflow.task
def double(frame: np.ndarray) -> np.ndarray:
    return 2 * frame


@tierflow.task(releases="mean")
def mean(frame: np.ndarray) -> float:
    return float(frame.mean())


@tierflow.actor(node="cam-1", releases={"count": "count"})
class Keeper:
    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []

    def keep(self, frame: np.ndarray) -> None:
        self.frames.append(frame)

    def newest(self) -> np.ndarray:
        return self.frames[-1]

    def count(self) -> int:
        return len(self.frames)

    def size(self) -> int:
        return 7


def refused(ref: object) -> str:
    with pytest.raises(tierflow.StayRefused) as error:
        tierflow.get(ref)  # type: ignore[call-overload]
    return error.value.scope


def test_what_is_made_under_stay_is_refused_outside(fab: LocalFabric) -> None:
    assert refused(capture.remote()) == "cam-1"
    assert refused(history.remote()) == "plant-1"


def test_what_is_made_of_it_inherits_the_strictest_label_and_its_place(fab: LocalFabric) -> None:
    ref = double.remote(capture.remote())
    assert tierflow.placement(ref).node == "cam-1"
    assert refused(ref) == "cam-1"
    site = double.options(node="gw-1").remote(history.remote())
    assert refused(site) == "plant-1"
    with pytest.raises(tierflow.NoPlacement, match="an input may not leave plant-1"):
        double.options(node="cloud-1").remote(site)


def test_a_release_has_no_label(fab: LocalFabric) -> None:
    assert tierflow.get(mean.remote(capture.remote())) == 0
    assert tierflow.get(mean.options(node="gw-1").remote(history.remote())) == 0


def test_an_actor_is_what_it_has_read(fab: LocalFabric) -> None:
    keeper = Keeper.remote()
    assert tierflow.get(keeper.size.remote()) == 7
    keeper.keep.remote(capture.remote())
    assert refused(keeper.newest.remote()) == refused(keeper.size.remote()) == "cam-1"
    assert tierflow.get(keeper.count.remote()) == 1


def test_what_a_program_puts(fab: LocalFabric) -> None:
    ref = tierflow.put(FRAME, stay="device")
    seen = tierflow.describe(ref)
    assert (seen.kind, seen.shape, seen.node, seen.stay) == ("array", (1000,), "cloud-1", "device")
    assert tierflow.placement(mean.remote(ref)).node == "cloud-1"
    with pytest.raises(tierflow.NoPlacement, match="an input may not leave cloud-1"):
        double.options(node="gw-1").remote(ref)
    with pytest.raises(tierflow.OptionError, match="write 'device' or 'site'"):
        tierflow.put(FRAME, stay="home")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"releases": 1}, "releases=1 is no word"),
        ({"releases": ""}, "is no word"),
        ({"releases": {"a": "b"}}, "no word"),
    ],
)
def test_what_a_task_cannot_release(options: dict[str, object], words: str) -> None:
    with pytest.raises(tierflow.OptionError, match=words):
        tierflow.task(**options)(lambda: None)  # type: ignore[call-overload]


def test_only_the_function_itself_declares_a_release() -> None:
    with pytest.raises(tierflow.OptionError, match="releases is fixed with the task"):
        double.options(releases="all")
    with pytest.raises(tierflow.OptionError, match="releases is fixed with the actor"):
        Keeper.options(releases={"newest": "all"})
    with pytest.raises(tierflow.OptionError, match="releases names 'gone', which is no method of it"):
        tierflow.actor(releases={"gone": "x"})(Keeper.raw)
