"""The spec built by code: SI numbers or text, the same rules, a value that never changes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tierflow.topology import NODE, SITE, TIER, ClusterSpec, LinkSpec, Member, NodeSpec

CLOUD = NodeSpec(name="cloud-1", tier="cloud", site="region-1")


def test_code_may_give_si_numbers_and_text_alike() -> None:
    by_number = LinkSpec(source="a", target="b", rate=2.5e6, delay=0.025)
    by_text = LinkSpec.model_validate({"from": "a", "to": "b", "rate": "20 Mbit/s", "delay": "25 ms"})
    assert by_number == by_text


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), -1.0, True, None])
def test_what_is_no_number_is_refused_in_code_too(delay: object) -> None:
    with pytest.raises(ValidationError):
        LinkSpec.model_validate({"from": "a", "to": "b", "rate": 1.0, "delay": delay})


def test_a_broken_rule_is_a_sentence_without_a_file() -> None:
    with pytest.raises(ValidationError, match="two nodes are called 'cloud-1'; give each a name of its own"):
        ClusterSpec(name="x", hosts="rig", nodes=(CLOUD, CLOUD))


def test_a_spec_is_a_value() -> None:
    spec = ClusterSpec(name="x", hosts="rig", nodes=(CLOUD,))
    assert hash(spec) == hash(ClusterSpec(name="x", hosts="rig", nodes=(CLOUD,)))
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "y"


def test_a_member_says_who_it_is() -> None:
    labels = {TIER: "edge", SITE: "plant-1", NODE: "gw-1"}
    member = Member("gw-1", "edge", "plant-1", True, {"CPU": 2.0}, {"CPU": 1.0}, labels, "a1", "10.0.0.2")
    assert (member.labels["tierflow.io/tier"], member.available["CPU"]) == ("edge", 1.0)
