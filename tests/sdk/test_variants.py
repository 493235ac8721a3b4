from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle

import tierflow
from tests.sdk import program
from tierflow.runtime.work import Work

SCRIPT = """
import tierflow

@tierflow.task(num_cpus=0)
def detect(frame): return "large"

@detect.variant(accuracy=0.9, num_cpus=0)
def detect_small(frame): return "small"

@tierflow.task(num_cpus=0)
def inside(task):
    handle = task.options(accuracy=0.5)
    return [(work.raw(0), work.accuracy) for work in handle._work.variants]

print(tierflow.get([detect.remote(0), detect_small.remote(0), inside.remote(detect)]))
"""


def works(task: Any) -> tuple[Work, ...]:
    variants: tuple[Work, ...] = task._work.variants
    return variants


def made() -> tierflow.Task[[int], int]:
    @tierflow.task
    def double(x: int) -> int:
        return 2 * x

    return double


def test_a_variant_is_a_task_of_its_own() -> None:
    assert isinstance(program.detect_small, tierflow.Task)
    assert (program.detect(b"x"), program.detect_small(b"x")) == ("large", "small")
    assert program.detect_small._work.accuracy == 0.9
    assert (program.detect._work.accuracy, works(program.detect_small)) == (1.0, ())
    assert program.detect_small._work.request.tiers == ("device",)


def test_the_work_of_a_call_names_the_others_in_order() -> None:
    assert [(work.request.name, work.accuracy) for work in works(program.detect)] == [
        ("detect_small", 0.9),
        ("detect_tiny", 0.5),
    ]
    assert works(program.detect)[0] is program.detect_small._work
    assert works(program.detect) is works(program.detect)


def test_a_variant_that_comes_after_the_first_call_counts() -> None:
    task = made()
    handle = task.options(accuracy=0.5)
    assert works(handle) == ()

    @handle.variant(accuracy=0.75)
    def plus(x: int) -> int:
        return x + x

    assert works(task) == works(handle) == (plus._work,)
    kept = works(task)[0]

    @task.variant(accuracy=0.5)
    def nothing(x: int) -> int:
        return 0

    assert [work.request.name for work in works(handle)] == ["nothing", "plus"]
    assert works(handle)[1] is kept


def test_made_again_it_takes_the_place_of_the_first() -> None:
    task = made()
    for accuracy in (0.5, 0.75):

        @task.variant(accuracy=accuracy)
        def plus(x: int) -> int:
            return x + x

    assert [work.accuracy for work in works(task)] == [0.75]


def test_what_a_call_asks_holds_for_whatever_runs() -> None:
    handle = program.detect.options(accuracy=0.8, tier="edge", name="look").options(num_cpus=2, deadline="1 s")
    small = works(handle)[0]
    assert (small.request.title, small.request.resources) == ("edge/detect_small", {"CPU": 2})
    assert works(program.detect)[0].request.title == "device/detect_small"
    assert (handle._work.policy.accuracy, handle._work.policy.deadline) == (0.8, 1.0)


def test_a_handle_with_variants_pickles() -> None:
    assert pickle.loads(pickle.dumps(program.detect)) is program.detect
    handle = pickle.loads(pickle.dumps(program.detect.options(accuracy=0.8, tier="edge")))
    assert [work.request.title for work in works(handle)] == ["edge/detect_small", "edge/detect_tiny"]
    assert handle._work.policy.accuracy == 0.8
    assert pickle.loads(cloudpickle.dumps(program.detect_small)) is program.detect_small

    task = made()

    @task.variant(accuracy=0.75)
    def plus(x: int) -> int:
        return task(x)

    again = pickle.loads(cloudpickle.dumps(task.options(tier="edge")))
    assert [(work.raw(2), work.accuracy, work.request.tiers) for work in works(again)] == [(4, 0.75, ("edge",))]
    assert pickle.loads(cloudpickle.dumps(plus))._work.accuracy == 0.75


def nothing() -> int: ...  # type: ignore[empty-body]
def other(y: int) -> int: ...  # type: ignore[empty-body]
def named(*, x: int) -> int: ...  # type: ignore[empty-body]
def strict(x: int, limit: float) -> int: ...  # type: ignore[empty-body]
def stream(x: int) -> Any:
    yield x


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (nothing, "nothing: it takes (), and double, whose variant it is, takes (x); give it the same parameters"),
        (other, "other: it takes (y), and double, whose variant it is, takes (x)"),
        (named, "named: it takes (*, x), and double"),
        (strict, "strict: it takes (x, limit), and double"),
        (stream, "stream: it is a generator, and double is none; let both return"),
        (program.add, "add: a task is a function"),
        (int, "int: a task is a function; use tierflow.actor for a class"),
        (made().raw, "double: a variant has the name of what it is a variant of; give it a name of its own"),
    ],
)
def test_a_variant_takes_the_same_parameters(function: Any, sentence: str) -> None:
    task = made()
    with pytest.raises(tierflow.OptionError) as caught:
        task.variant(accuracy=0.5)(function)
    assert str(caught.value).startswith(sentence)
    assert works(task) == ()


def test_a_default_stays_a_default() -> None:
    @tierflow.task
    def cut(x: int, limit: float = 0.5) -> int: ...  # type: ignore[empty-body]

    with pytest.raises(tierflow.OptionError, match=r"strict: it takes \(x, limit\), and cut, .* takes \(x, limit=0\.5"):
        cut.variant(accuracy=0.5)(strict)


@pytest.mark.parametrize("accuracy", [-0.1, 1.5, True, "90 %", float("nan"), None])
def test_the_accuracy_of_a_variant_is_a_share(accuracy: Any) -> None:
    with pytest.raises(tierflow.OptionError, match=r"plain: accuracy=.* is no share; write one from 0 to 1"):

        @made().variant(accuracy=accuracy)
        def plain(x: int) -> int: ...  # type: ignore[empty-body]


def test_bad_options_of_a_variant_are_those_of_a_task() -> None:
    with pytest.raises(tierflow.OptionError, match="other: a task has no option 'teir'; did you mean 'tier'"):
        made().variant(accuracy=0.5, teir="edge")(other)


@pytest.mark.usefixtures("cluster")
def test_variants_of_a_script_reach_a_worker(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "['large', 'small', [('small', 0.9)]]\n", done.stderr
