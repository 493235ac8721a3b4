from __future__ import annotations

from typing import Any

import pytest
from ray._common.ray_option_utils import actor_options, task_options

import tierflow
from tierflow.sdk.options import ACTOR_OPTIONS, TASK_OPTIONS, Options


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"teir": "edge"}, "nothing: a task has no option 'teir'; did you mean 'tier'?"),
        ({"max_restarts": 1}, "nothing: a task has no option 'max_restarts'; did you mean 'max_retries'?"),
        ({"tier": 3}, "nothing: tier=3 is no tier; write tier='edge', or several"),
        ({"tier": []}, r"nothing: tier=\[\] is no tier"),
        ({"tier": ["edge", ""]}, "is no tier"),
        ({"site": ["a"]}, r"site=\['a'\] is no name; write site='the name of one site'"),
        ({"num_cpus": "2"}, "num_cpus='2' is no amount; write a number, 0 or more"),
        ({"memory": -1}, "memory=-1 is no amount; write a number of bytes, 0 or more"),
        ({"resources": {"CPU": 1}}, "resources has 'CPU'; write num_cpus=1 beside it"),
        ({"resources": 1}, "resources=1 is no mapping"),
        ({"tier": "edge", "scheduling_strategy": "SPREAD"}, "it has both a place and scheduling_strategy"),
    ],
)
def test_a_bad_option_is_one_sentence_at_decoration(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(tierflow.OptionError, match=sentence):
        tierflow.task(**given)(nothing)
    with pytest.raises(tierflow.OptionError):
        tierflow.task(nothing).options(**given)


def test_what_is_no_function_and_no_class() -> None:
    wrong: Any = tierflow
    with pytest.raises(tierflow.OptionError, match=r"a task is a function; use tierflow\.actor for a class"):
        wrong.task(int)
    with pytest.raises(tierflow.OptionError, match=r"an actor is a class; use tierflow\.task"):
        wrong.actor(nothing)
    with pytest.raises(tierflow.OptionError, match="it is an actor already"):
        wrong.actor(tierflow.actor(type("C", (), {})))
    with pytest.raises(tierflow.OptionError, match="max_calls is fixed with the task"):
        tierflow.task(nothing).options(max_calls=1)


def test_the_names_are_rays() -> None:
    assert set(task_options) == TASK_OPTIONS
    assert set(actor_options) == ACTOR_OPTIONS


def test_later_options_go_over_earlier_ones() -> None:
    first = Options("task", "f").with_({"tier": ["edge", "cloud"], "site": "a", "num_cpus": 2})
    second = first.with_({"site": None, "memory": 10})
    assert (second.tiers, second.site) == (("edge", "cloud"), None)
    assert second.request().resources == {"CPU": 2, "memory": 10}
    assert second.for_ray() == {"num_cpus": 2, "memory": 10}
