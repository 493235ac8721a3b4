"""Decisions that are kept: the same as fresh ones, and made again when something changed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.planning.drawn import calls, conditions, loads, policies, profiles
from tierflow.cost import Call, Input, Profile, Profiles, Variant
from tierflow.errors import NoPlacement
from tierflow.planning.choose import choose
from tierflow.planning.decisions import STEP, Decisions, like
from tierflow.planning.policy import Policy
from tierflow.planning.rank import rank
from tierflow.topology.column import Value
from tierflow.topology.conditions import Conditions, LinkChange


@given(now=conditions(), policy=policies(), data=st.data())
def test_the_first_decision_is_the_fresh_choice(now: Conditions, policy: Policy, data: st.DataObject) -> None:
    call, known, queues = data.draw(calls(now)), data.draw(profiles(now)), data.draw(loads(now))
    try:
        fresh = choose(rank(like(call), policy, now, known), queues)
    except NoPlacement:
        return
    made = Decisions().decide(call, policy, now, known, queues)
    assert (made.node, made.function, made.codec, made.cost) == (fresh.node, fresh.function, fresh.codec, fresh.cost)


@given(size=st.floats(0.0, 1e12))
def test_alike_sizes_stand_for_one_that_is_no_smaller_and_little_larger(size: float) -> None:
    call = Call((Variant("f"),), "a", (Input("a", size),))
    rounded = like(call).size
    assert like(like(call)) == like(call)
    assert rounded >= int(size)
    assert rounded <= max(size * STEP, size + 1)


@given(now=conditions(), data=st.data())
def test_a_ranking_is_kept_until_conditions_or_profiles_change(now: Conditions, data: st.DataObject) -> None:
    node, link = (data.draw(st.sampled_from(sorted(names))) for names in (now.fixed.nodes, now.fixed.links))
    call = Call((Variant("f"),), node, (Input(node, 1000.0),), cpus=0)
    known, decisions = Profiles(), Decisions()
    healed = now.changed(links={name: LinkChange(up=True) for name in now.fixed.links})

    def ranking(call: Call, now: Conditions, known: Profiles) -> object:
        try:
            return decisions.decide(call, Policy(), now, known, {}).ranking
        except NoPlacement:
            return None

    first = ranking(call, healed, known)
    assert ranking(call, healed, known) is first
    assert ranking(replace(call, inputs=(Input(node, 999.5),)), healed, known) is first
    taught = known.with_profile("f", Profile().observed(now.fixed.kinds[0], 1.0, 1000.0, 5.0))
    if first is not None:
        second = ranking(call, healed, taught)
        assert second is not first
        assert ranking(call, healed, Profiles(dict(taught.functions))) is second
        third = ranking(call, healed.changed(links={link: LinkChange(rate=Value(12345.0))}), taught)
        assert third is not second
