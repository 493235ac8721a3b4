"""The policy of a cluster file: read, refused in one sentence, described, written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topology.test_describe import drawn
from tierflow.testing.strategies import policy_specs
from tierflow.topology import PolicySpec, Stay, describe, dump, parse, strictest

POLICY = """\
policy:
  minimise: {latency: 1, money: 50}
  deadline: 50 ms
  max_bytes: 1 MB
  budget: 0.001 $
  energy: 2 J
  stay: site
  order: [edge, cloud]
  accuracy: 0.9
  margin: 1.6
  on_cut: queue
"""


def test_a_policy_is_read_in_the_units_of_the_file(valid: str) -> None:
    policy = parse(valid + POLICY).policy
    assert policy is not None
    assert policy.given == {
        "minimise": (("latency", 1.0), ("money", 50.0)),
        "deadline": 0.05,
        "max_bytes": 1_000_000,
        "budget": 0.001,
        "energy": 2.0,
        "stay": "site",
        "order": ("edge", "cloud"),
        "accuracy": 0.9,
        "margin": 1.6,
        "on_cut": "queue",
    }
    assert parse(valid).policy is None
    assert PolicySpec().given == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dedline: 1 s", "16: 'policy' has an unknown key, 'dedline'; did you mean 'deadline'?"),
        ("deadline: 50", "16: 'deadline' of 'policy' is 50, which is not a duration with a unit; write it like "
         "'25 ms'"),
        ("budget: 3", "16: 'budget' of 'policy' is 3, which is not a sum of money with a unit; write it like "
         "'0.001 $'"),
        ("stay: home", "16: 'stay' of 'policy' is 'home'; use one of: device, site"),
        ("minimise: speed", "16: 'minimise' of 'policy' is 'speed', which is not a metric (latency, energy, money, "
         "bytes) or a weight for each; write it like '{latency: 1, money: 50}'"),
        ("minimise: {money: -1}", "16: 'minimise' of 'policy' is a mapping, which is not a metric"),
        ("accuracy: 2", "16: 'accuracy' of 'policy' is 2; make it at most 1"),
        ("order: [egde]", "16: 'order' of the policy names 'egde', which is not one of this file's tiers; did you mean "
         "'edge'?"),
        ("order: [edge, edge]", "16: 'order' of the policy names 'edge' twice; remove one"),
        ("on_cut: wait", "16: 'on_cut' of 'policy' is 'wait'; use one of: local, queue, fail"),
        ("order: []", "16: 'order' of 'policy' is an empty list; write at least one"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(refusal: Callable[[str], str], valid: str, text: str, said: str) -> None:
    assert refusal(f"{valid}policy:\n  {text}\n").startswith(f"c.yaml:{said}")


def test_a_policy_is_written_and_described_as_people_write_it(valid: str) -> None:
    spec = parse(valid + POLICY)
    assert parse(dump(spec)) == spec
    assert dump(spec).endswith(
        "policy: {minimise: {latency: 1, money: 50}, deadline: 50 ms, max_bytes: 1 MB, budget: 0.001 $, "
        "energy: 2 J, stay: site, order: [edge, cloud], accuracy: 0.9, margin: 1.6, on_cut: queue}\n"
    )
    assert (
        "policy: minimise 1 latency + 50 money, deadline 50 ms, max_bytes 1 MB, budget 0.001 $, energy 2 J, "
        "stay site, order edge > cloud, accuracy 0.9, margin 1.6, on_cut queue"
    ) in drawn(describe(spec)).replace("\n", " ").replace("  ", " ")
    assert describe(spec).to_dict()["policy"]["deadline"] == 0.05


@given(policy=policy_specs())
def test_any_policy_comes_back(policy: PolicySpec) -> None:
    spec = parse("name: a\nhosts: local\nnodes:\n- {name: cloud-1, tier: cloud, site: s}\n")
    spec = spec.model_copy(update={"policy": policy})
    assert parse(dump(spec)) == spec


_labels = st.sampled_from((None, "site", "device"))


@given(_labels, _labels, _labels)
def test_the_strictest_label_is_the_same_in_any_order(one: Stay | None, two: Stay | None, three: Stay | None) -> None:
    assert strictest((one, two)) == strictest((two, one))
    assert strictest((strictest((one, two)), three)) == strictest((one, strictest((two, three))))
    assert strictest((one, one, None)) == one
    assert strictest((one, "device")) == "device"
    assert strictest(()) is None
