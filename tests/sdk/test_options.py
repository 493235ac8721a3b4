from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ray._common.ray_option_utils import actor_options, task_options

import tierflow
import tierflow.testing
from tests.sdk import program
from tierflow.planning import Policy
from tierflow.sdk import fabric
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
        ({"deadline": "50"}, "nothing: deadline='50' is no value for it; write it like '50 ms'"),
        ({"minimise": "speed"}, "minimise='speed' is no value for it; write one of latency, energy, money, bytes"),
        ({"stay": "home"}, "stay='home' is no value for it; write 'device' or 'site'"),
        ({"accuracy": 2}, "accuracy=2 is no value for it; write a share from 0 to 1"),
        ({"order": ["edge", "edge"]}, r"order=\['edge', 'edge'\] is no value for it; write the tiers, best first"),
        ({"dedline": "1 s"}, "a task has no option 'dedline'; did you mean 'deadline'?"),
        ({"deadline": "1 s", "scheduling_strategy": "SPREAD"}, "it has both a policy and scheduling_strategy; take"),
        ({"tier": ("edge", "cloud"), "order": "cloud"}, "are both an order of preference; write tier for where"),
        ({"tier": "edge", "order": "cloud"}, "it may run on tier edge only, which order=.* does not name"),
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


def test_a_policy_holds_what_was_given_and_none_takes_one_back() -> None:
    first = Options("actor", "f").with_({"minimise": "latency", "deadline": "50 ms", "stay": "site"})
    assert first.policy == Policy(deadline=0.05, stay="site")
    assert first.policy.asks == {"weights", "deadline", "stay"}
    second = first.with_({"deadline": None, "order": ["edge", "cloud"], "budget": None})
    assert second.policy.asks == {"weights", "stay", "order"}
    assert second.with_({"minimise": None}).policy.asks == {"stay", "order"}
    assert Options("task", "f").with_({"tier": "edge"}).policy.asks == set()


def test_the_work_carries_what_was_asked() -> None:
    task = tierflow.task(deadline="50 ms", minimise={"money": 2})(nothing)
    assert task._work.policy == Policy((("money", 2.0),), 0.05)
    assert task.options(deadline=None, stay="device")._work.policy == Policy((("money", 2.0),), stay="device")
    assert tierflow.task(nothing)._work.policy == Policy()
    actor = tierflow.actor(order="edge", margin=1.6)(type("C", (), {}))
    assert actor._work.policy == Policy(order=("edge",), margin=1.6)


def test_options_that_only_say_less_together_are_no_contradiction() -> None:
    Options("task", "f").with_({"node": "gw-1", "order": "edge", "deadline": "1 s"})
    Options("task", "f").with_({"tier": ("edge", "cloud"), "deadline": "1 s", "label_selector": {"a": "b"}})
    Options("task", "f").with_({"scheduling_strategy": "DEFAULT", "deadline": "1 s"})


def test_a_program_says_its_own_policy() -> None:
    with tierflow.testing.fabric():
        try:
            tierflow.init(policy={"minimise": "money", "deadline": "1 s"})
            assert fabric.program_policy() == Policy((("money", 1.0),), 1.0)
            with pytest.raises(tierflow.OptionError, match="dedline: a policy has no such option"):
                tierflow.init(policy={"dedline": "2 s"})
            tierflow.init()
            assert fabric.program_policy().deadline == 1.0
        finally:
            tierflow.init(policy={})
        assert fabric.program_policy().asks == set()


def test_the_same_options_give_the_same_handle() -> None:
    assert program.add.options(tier="edge") is program.add.options(tier="edge")
    assert program.add.options(tier="edge") is not program.add.options(tier="cloud")
    assert program.add.options(resources={"a": 1}) is not program.add.options(resources={"a": 1})


def test_a_resident_is_found_by_its_name_on_its_one_node() -> None:
    kind = tierflow.actor(node="cam-1", name="model", resident=True, num_cpus=0)(type("Model", (), {}))
    assert kind._work.options == {
        "lifetime": "detached", "max_restarts": -1, "get_if_exists": True, "name": "model", "num_cpus": 0,
    }  # fmt: skip
    for missing in ({"node": "cam-1"}, {"name": "model"}):
        with pytest.raises(tierflow.OptionError, match="write node= and name= beside resident=True"):
            tierflow.actor(resident=True, **missing)(type("Model", (), {}))
    with pytest.raises(tierflow.OptionError, match="a task has no option 'resident'; there are"):
        tierflow.task(resident=True)(nothing)


def test_a_stand_in_is_an_actors_and_no_residents() -> None:
    kind = type("Model", (), {})
    assert tierflow.actor(stand_in=True)(kind)._work.stand_in
    assert not tierflow.actor(kind)._work.stand_in
    with pytest.raises(tierflow.OptionError, match="to be resident and to have a stand-in; leave one of the two out"):
        tierflow.actor(node="cam-1", name="model", resident=True, stand_in=True)(kind)
    with pytest.raises(tierflow.OptionError, match="a task has no option 'stand_in'"):
        tierflow.task(stand_in=True)(nothing)


def test_what_a_generator_makes_ahead_is_bounded_in_bytes_or_as_ray_does() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    def rays(**options: Any) -> Any:
        return tierflow.task(**options)(numbers)._work.options.get("_generator_backpressure_num_objects")

    assert [rays(), rays(ahead="1 MB"), rays(ahead=None), rays(ahead=9, num_returns=2)] == [None, 1, None, None]
    assert rays(_generator_backpressure_num_objects=3) == 3
    assert tierflow.task(nothing)._work.options == {}
    for wrong in ("8", -1, True, [1]):
        with pytest.raises(tierflow.OptionError, match="is no size; write it like '8 MB'"):
            tierflow.task(ahead=wrong)(numbers)  # type: ignore[arg-type]
    with pytest.raises(tierflow.OptionError, match="both ahead and _generator_backpressure_num_objects"):
        tierflow.task(ahead="1 MB", _generator_backpressure_num_objects=3)(numbers)
    with pytest.raises(tierflow.OptionError, match="it has ahead, and is no generator; leave ahead out"):
        tierflow.task(ahead="1 MB")(nothing)
    with pytest.raises(tierflow.OptionError, match="ahead is fixed with the task; give it to the decorator"):
        tierflow.task(numbers).options(ahead="1 MB")
    with pytest.raises(tierflow.OptionError, match="it has ahead, and methods that are async def"):
        tierflow.actor(ahead="1 MB")(program.Counter.raw)
