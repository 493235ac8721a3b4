"""Hypothesis strategies for what is placed: conditions, profiles, calls, policies, load."""

from __future__ import annotations

from hypothesis import reject
from hypothesis import strategies as st

from tierflow.cost import RAW, Call, Codec, Input, Profile, Profiles, Queue, Variant
from tierflow.errors import NoPlacement
from tierflow.planning import Policy
from tierflow.planning.account import Made, Observed
from tierflow.planning.choose import choose
from tierflow.planning.explanation import Explanation
from tierflow.planning.rank import rank
from tierflow.testing.strategies import cluster_specs
from tierflow.topology import METRICS, Topology
from tierflow.topology.column import Value
from tierflow.topology.conditions import Conditions, LinkChange, NodeChange

_sizes = st.sampled_from((0.0, 1e3, 1e5, 2e6)) | st.floats(0.0, 1e8)
_stays = st.sampled_from((None, None, None, "site", "device"))


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    """Conditions of a small cluster, in which some nodes and links were measured, died or were cut."""
    now = Conditions.of(Topology.of(draw(cluster_specs(most_sites=2, most_devices=2))))
    nodes = st.builds(
        NodeChange,
        speed=st.none() | st.builds(Value, st.floats(0.1, 10.0), st.floats(0.0, 1.0)),
        busy=st.none() | st.builds(Value, st.floats(0.0, 0.9)),
        alive=st.sampled_from((None, None, None, False)),
        dispatch=st.none() | st.builds(Value, st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    )
    links = st.builds(
        LinkChange,
        rate=st.none() | st.builds(Value, st.floats(1e4, 1e8), st.floats(0.0, 1e4)),
        delay=st.none() | st.builds(Value, st.floats(0.0, 0.5), st.floats(0.0, 0.1)),
        loss=st.none() | st.builds(Value, st.floats(0.0, 0.2)),
        up=st.sampled_from((None, None, None, False)),
    )
    return now.changed(
        draw(st.dictionaries(st.sampled_from(sorted(now.fixed.nodes)), nodes, max_size=3)),
        draw(st.dictionaries(st.sampled_from(sorted(now.fixed.links)), links, max_size=3)),
    )


@st.composite
def profiles(draw: st.DrawFn, now: Conditions) -> Profiles:
    """What was seen of the functions `small` and `large`."""
    known = {}
    for name in ("small", "large"):
        profile = Profile()
        for _ in range(draw(st.integers(0, 3))):
            kind = draw(st.sampled_from(now.fixed.kinds))
            size, seconds, result = draw(_sizes), draw(st.floats(1e-4, 10.0)), draw(st.none() | _sizes)
            profile = profile.observed(kind, draw(st.floats(0.1, 10.0)), size, seconds, result)
        known[name] = profile
    return Profiles(known)


@st.composite
def calls(draw: st.DrawFn, now: Conditions, stay: bool = True) -> Call:
    """Calls of `large`, which has a worse variant `small`, from any node with inputs on any nodes."""
    nodes = st.sampled_from(sorted(now.fixed.nodes))
    inputs = st.builds(Input, nodes, _sizes, _stays if stay else st.none())
    return Call(
        (Variant("large"), Variant("small", 0.8)),
        draw(nodes),
        tuple(draw(st.lists(inputs, max_size=3))),
        draw(st.sampled_from((0.0, 0.5, 1.0, 2.0))),
        draw(st.integers(1, 2)),
        draw(st.sampled_from(((RAW,), (RAW, Codec("zstd", 0.3, 2e8, 5e8))))),
        draw(st.none() | nodes),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy whose bounds some nodes keep and others do not."""
    weights = draw(st.dictionaries(st.sampled_from(METRICS), st.floats(0.01, 100.0), min_size=1))
    return Policy(
        tuple((metric, weights[metric]) for metric in METRICS if metric in weights),
        deadline=draw(st.none() | st.floats(1e-3, 100.0)),
        max_bytes=draw(st.none() | st.floats(0.0, 1e8)),
        budget=draw(st.none() | st.floats(0.0, 1.0)),
        energy=draw(st.none() | st.floats(0.0, 1e3)),
        stay=draw(_stays),
        order=draw(st.sampled_from(((), ("edge",), ("cloud", "device")))),
        accuracy=draw(st.sampled_from((None, 0.5, 0.9))),
        margin=draw(st.sampled_from((0.0, 0.0, 1.6))),
    )


def loads(now: Conditions) -> st.SearchStrategy[dict[str, Queue]]:
    """Calls on their way to some nodes."""
    queues = st.builds(Queue, st.integers(0, 8), st.floats(0.0, 20.0))
    return st.dictionaries(st.sampled_from(sorted(now.fixed.nodes)), queues)


def observations() -> st.SearchStrategy[Observed]:
    """What came of calls, or of calls that ended in an error."""
    seconds = st.floats(0.0, 1e4)
    nodes = st.sampled_from(("", "gw-1", "cloud-1"))
    done = st.builds(Observed, nodes, seconds, st.none() | seconds, st.none() | _sizes)
    return done | st.builds(Observed, nodes, seconds, error=st.text(max_size=20))


@st.composite
def made_calls(draw: st.DrawFn) -> Made:
    """Calls that were placed by a choice, which may explore or stay where the call before was."""
    now, policy = draw(conditions()), draw(policies())
    call, load, turn = draw(calls(now)), draw(loads(now)), draw(st.integers(0, 99))
    previous = draw(st.none() | st.sampled_from(sorted(now.fixed.nodes)))
    try:
        choice = choose(rank(call, policy, now, draw(profiles(now)), asked="any node"), load, turn, previous)
    except NoPlacement:
        reject()
    return Made(draw(st.text(max_size=8)), "any/large", call.caller, draw(st.floats(0, 4e9)), choice.node, choice)


@st.composite
def explanations(draw: st.DrawFn) -> Explanation:
    """Explanations of calls with and without a choice, ended and not."""
    words = st.text(max_size=20)
    unplaced = st.builds(Made, words, words, words, st.floats(0, 4e9), words, asked=words, why=words)
    return Explanation.of(draw(made_calls() | unplaced), draw(st.none() | observations()))
