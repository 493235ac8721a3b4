from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given

from tierflow.errors import OptionError
from tierflow.planning import Policy
from tierflow.testing.strategies import policy_specs
from tierflow.topology import PolicySpec


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


def test_a_policy_goes_over_a_default_option_by_option() -> None:
    fabric = Policy.of(minimise="money", deadline="1 s", stay="site")
    function = Policy.of(deadline="50 ms", order="edge")
    call = Policy.of(minimise="latency", margin=0)
    merged = call.over(function.over(fabric))
    assert merged == Policy(deadline=0.05, stay="site", order=("edge",))
    assert merged.asks == {"weights", "deadline", "stay", "order", "margin"}
    assert Policy().over(fabric) == fabric
    assert function.without(["deadline"]).over(fabric).deadline == 1.0
    assert Policy(deadline=2.0).over(fabric).deadline == 2.0


@given(a=policy_specs(), b=policy_specs(), c=policy_specs())
def test_it_does_not_matter_in_which_order_three_are_laid_over_one_another(
    a: PolicySpec, b: PolicySpec, c: PolicySpec
) -> None:
    call, function, fabric = (Policy.of(**spec.given) for spec in (a, b, c))
    merged = call.over(function).over(fabric)
    assert merged == call.over(function.over(fabric)) == Policy.of(**(c.given | b.given | a.given))


def test_money_may_be_text() -> None:
    assert Policy.of(budget="0.001 $") == Policy.of(budget=0.001)


def test_the_policy_needs_no_numpy() -> None:
    code = "import sys, tierflow.planning; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
