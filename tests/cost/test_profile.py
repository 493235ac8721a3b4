"""Profiles: prediction for kinds that were and were not seen, the file, and merging."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.cost import Profile, Profiles
from tierflow.errors import ProfileError
from tierflow.topology import Topology, load
from tierflow.topology.column import Source, Value
from tierflow.topology.conditions import Conditions, NodeChange

ROOT = Path(__file__).parents[2]
DEVICE, CLOUD = "device 1 CPU x0.2", "cloud 4 CPU x0.7"
_samples = st.lists(
    st.tuples(
        st.sampled_from(("f", "g")),
        st.sampled_from((DEVICE, CLOUD)),
        st.floats(0.1, 10.0),
        st.floats(0.0, 1e9),
        st.floats(1e-6, 1e3),
        st.none() | st.floats(0.0, 1e9),
    ),
    max_size=20,
)


def learned(samples: list[tuple[str, str, float, float, float, float | None]]) -> Profiles:
    profiles = Profiles()
    for function, *sample in samples:
        profiles = profiles.with_profile(function, profiles.of(function).observed(*sample))  # type: ignore[arg-type]
    return profiles


@pytest.fixture
def demo() -> Conditions:
    return Conditions.of(Topology.of(load(ROOT / "clusters/demo.yaml")))


def test_what_was_never_run_is_a_guess_that_knows_only_speeds(demo: Conditions) -> None:
    faster = demo.changed({"gw-1": NodeChange(speed=Value(4.0))})
    compute = Profile().compute(faster, 1e6)
    cam, gateway = (compute.at(faster.fixed.nodes[name]) for name in ("cam-1", "gw-1"))
    assert cam.value == pytest.approx(4 * gateway.value)
    assert (cam.source, cam.unit) == (Source.DECLARED, "s")
    assert cam.deviation >= cam.value
    assert Profile().returns(5.0).source is Source.DECLARED


def test_a_kind_that_ran_it_is_known_and_others_follow_by_speed(demo: Conditions) -> None:
    profile = Profile()
    for _ in range(20):
        profile = profile.observed(DEVICE, 0.5, 1e6, 2.0, 1000.0)
    now = demo.changed({"gw-1": NodeChange(speed=Value(4.0)), "cam-2": NodeChange(busy=Value(0.5))})
    compute = profile.compute(now, 1e6)
    at = {name: compute.at(index) for name, index in now.fixed.nodes.items()}
    assert (at["cam-1"].value, at["cam-1"].source) == (pytest.approx(2.0), Source.LEARNED)
    assert at["cam-2"].value == pytest.approx(4.0)
    assert at["gw-1"].value == pytest.approx(2.0 * 0.5 / 4.0)
    assert at["gw-1"].deviation / at["gw-1"].value > at["cam-1"].deviation / at["cam-1"].value
    assert profile.returns(1e6).value == pytest.approx(1000.0)


def test_the_file_is_one_line_for_each_function() -> None:
    profiles = learned([("f", DEVICE, 1.0, 1e6, 2.0, 10.0), ("g", CLOUD, 1.0, 0.0, 0.1, None)])
    lines = profiles.dumps().splitlines()
    assert lines[0] == '{"format": 2}'
    assert len(lines) == 3
    assert len(profiles.dumps()) < 400


@given(samples=_samples)
def test_what_was_written_is_read(samples: list[tuple[str, str, float, float, float, float | None]]) -> None:
    profiles = learned(samples)
    assert Profiles.loads(profiles.dumps()) == profiles
    assert Profiles.loads("") == Profiles()


@given(a=_samples, b=_samples, c=_samples)
def test_merging_takes_any_order_and_any_repetition(
    a: list[tuple[str, str, float, float, float, float | None]],
    b: list[tuple[str, str, float, float, float, float | None]],
    c: list[tuple[str, str, float, float, float, float | None]],
) -> None:
    one, two, three = learned(a), learned(b), learned(c)
    assert one.merged(one) == one
    assert one.merged(two) == two.merged(one)
    assert one.merged(two).merged(three) == one.merged(two.merged(three))
    assert one.merged(two).merged(two) == one.merged(two)
    for name, profile in one.functions.items():
        for kind, timing in profile.kinds.items():
            assert one.merged(two).of(name).kinds[kind].curve.count >= timing.curve.count


@given(a=_samples, b=_samples)
def test_profiles_that_predict_differently_have_different_versions(
    a: list[tuple[str, str, float, float, float, float | None]],
    b: list[tuple[str, str, float, float, float, float | None]],
) -> None:
    """Also after a merge, which takes some curves from the one and some from the other."""
    one, two = learned(a), learned(b)
    for known in (one.merged(two), two, Profiles.loads(two.dumps())):
        for name in ("f", "g"):
            left, right = one.of(name), known.of(name)
            if left.version == right.version:
                assert left.kinds.keys() == right.kinds.keys()
                pairs = [(left.result, right.result)]
                pairs += [(timing.curve, right.kinds[kind].curve) for kind, timing in left.kinds.items()]
                for mine, other in pairs:
                    assert [knot.shown for knot in mine.knots] == [knot.shown for knot in other.knots]


HEAD = '{"format": 2}\n{"function": "f", "kinds": '


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "line 1 of the profiles cannot be read"),
        ('{"format": 1}', "the profiles are of format 1, not 2; remove the file"),
        ("[]", "line 1 of the profiles cannot be read"),
        ('{"format": 2}\n{"function": "f"}', "line 2 of the profiles cannot be read (KeyError('kinds'))"),
        (
            HEAD + '{"k": [1, 1, [[5, -1, 0.3, 1, 0, 0]]]}, "result": [0, []]}',
            "line 2 of the profiles cannot be read (ValueError('-1 is not above 0'))",
        ),
        (
            HEAD + '{}, "result": [0, [[5, 1, 0.3, 1, 0, 0], [1, 1, 0.3, 1, 0, 0]]]}',
            "line 2 of the profiles cannot be read (ValueError('the knots are not in order'))",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_where(text: str, sentence: str) -> None:
    with pytest.raises(ProfileError) as caught:
        Profiles.loads(text)
    assert str(caught.value).startswith(sentence)


def test_a_first_call_in_a_process_counts_until_there_is_another() -> None:
    empty = Profile()
    cold = empty.observed("edge", 1.0, 100, 9.0, 10, first=True)
    assert cold.provisional
    assert cold.kinds["edge"].curve.at(100)[0] == 9.0
    colder = cold.observed("device", 0.2, 100, 12.0, 10, first=True)
    assert set(colder.kinds) == {"device"}
    warm = colder.observed("edge", 1.0, 100, 0.5, 10)
    assert not warm.provisional
    assert set(warm.kinds) == {"edge"}
    assert warm.observed("device", 0.2, 100, 12.0, 10, first=True) is warm
    known, guessed = Profiles({"f": warm}), Profiles({"f": colder})
    assert known.merged(guessed) == guessed.merged(known) == known
    assert Profiles.loads(guessed.dumps()) == guessed
