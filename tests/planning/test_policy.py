from __future__ import annotations

import pytest

from tierflow.errors import OptionError
from tierflow.planning.policy import Policy


def test_a_policy_is_written_as_people_write_quantities() -> None:
    policy = Policy.of(
        minimise={"latency": 1, "money": 50, "energy": 0},
        deadline="50ms",
        max_bytes="1 MB",
        budget=0.01,
        energy="2 J",
        stay="site",
        order=["edge", "cloud"],
        accuracy=0.9,
        margin=1.6,
    )
    assert policy == Policy(
        (("latency", 1.0), ("money", 50.0)), 0.05, 1e6, 0.01, 2.0, "site", ("edge", "cloud"), 0.9, 1.6
    )
    assert policy.asked == (
        "a result in 50 ms, at most 1 MB sent, at most $0.01, at most 2 J, inputs that stay at their site, "
        "an accuracy of 0.9"
    )
    assert (policy.weight("money"), policy.weight("bytes")) == (50.0, 0.0)


def test_without_options_the_latency_is_minimised() -> None:
    assert Policy.of() == Policy() == Policy.of(minimise="latency")
    assert Policy().asked == ""
    assert hash(Policy()) == hash(Policy.of())


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("dedline", "50 ms", "dedline: a policy has no such option; there is: minimise, deadline"),
        ("deadline", "50", "deadline: '50' is not one; write it like '50 ms'"),
        ("deadline", -1, "deadline: -1 is not one; write it like '50 ms'"),
        ("minimise", "speed", "minimise: 'speed' is not one; write one of latency, energy, money, bytes"),
        ("minimise", {"latency": 0}, "minimise: {'latency': 0} is not one"),
        ("minimise", 3, "minimise: 3 is not one"),
        ("max_bytes", "1 s", "max_bytes: '1 s' is not one; write it like '1 MB'"),
        ("budget", "0.1", "budget: '0.1' is not one; write dollars"),
        ("energy", float("nan"), "energy: nan is not one; write it like '2 J'"),
        ("stay", "home", "stay: 'home' is not one; write 'device' or 'site'"),
        ("accuracy", 2, "accuracy: 2 is not one; write a share from 0 to 1"),
        ("margin", True, "margin: True is not one"),
    ],
)
def test_what_is_wrong_says_what_would_be_right(option: str, value: object, sentence: str) -> None:
    with pytest.raises(OptionError) as caught:
        Policy.of(**{option: value})
    assert str(caught.value).startswith(sentence)
