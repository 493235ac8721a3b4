"""Streams on three nodes of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
from ray.exceptions import GetTimeoutError

import tierflow
from tests.sdk import program, streams
from tierflow import OptionError

pytestmark = pytest.mark.usefixtures("cluster")


def lines(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def soon(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(params=["task", "async task", "actor"])
def source(request: pytest.FixtureRequest) -> Any:
    if request.param == "actor":
        return streams.Source.remote().batches
    return streams.batches if request.param == "task" else streams.batches_later


def test_batches_come_in_order_and_the_maker_is_so_many_bytes_ahead(source: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    read = tierflow.stream(source.remote(str(log), 30), ahead="1 MB")
    assert not next(read).any()
    time.sleep(2)
    # 1 is read, 2 wait here, 4 wait there, one is made and held.
    assert len(lines(log)) <= 8
    assert [item[0] for item in read] == list(range(1, 30))
    assert lines(log)[-1] == "finally"
    assert list(read) == []


def test_references_are_read_one_by_one_too(source: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    refs = source.remote(str(log), 12)
    assert not tierflow.get(next(refs)).any()
    time.sleep(1)
    assert len(lines(log)) <= 6
    assert [tierflow.get(ref)[0] for ref in refs] == list(range(1, 12))


def test_one_larger_than_the_limit_goes_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    read = tierflow.stream(streams.batches.remote(str(log), 6, 5_000_000), ahead=1)
    next(read)
    time.sleep(1.5)
    assert len(lines(log)) <= 4
    assert len(list(read)) == 5


def test_closing_it_stops_the_maker(source: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with tierflow.stream(source.remote(str(log), 100)) as read:
        next(read)
    soon(lambda: lines(log)[-1] == "finally")
    assert len(lines(log)) < 40
    assert list(read) == []
    read.close()


def test_so_does_dropping_it_and_leaving_the_loop(tmp_path: Path) -> None:
    log, actor = tmp_path / "log", streams.Source.remote()
    for _ in tierflow.stream(actor.batches.remote(str(log), 100)):
        break
    soon(lambda: lines(log)[-1] == "finally")
    assert "tierflow-ahead" not in tierflow.get(actor.threads.remote(), timeout=10)


def test_what_is_not_bounded_stops_too() -> None:
    actor = tierflow.actor(num_cpus=0)(streams.Endless).remote()
    with tierflow.stream(actor.numbers.remote()) as read:
        assert [next(read), next(read)] == [0, 1]
    assert tierflow.get(actor.ping.remote(), timeout=20) == "here"


def test_an_error_comes_after_what_was_made_before() -> None:
    read = tierflow.stream(streams.failing.remote(5))
    assert [next(read) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="no more") as caught:
        next(read)
    assert isinstance(caught.value, ray.exceptions.RayTaskError)
    assert "streams.py" in str(caught.value)
    assert list(read) == []


def test_one_whose_worker_dies_is_made_again_and_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert [item[0] for item in tierflow.stream(streams.dying.remote(str(log), 12))] == list(range(12))
    assert lines(log) == ["dead"]


def test_actors_with_an_event_loop_yield_as_ray_does(tmp_path: Path) -> None:
    counter = program.Counter.remote()
    assert list(tierflow.stream(counter.upto.remote(3))) == [0, 1, 2]
    assert list(tierflow.stream(counter.upto_later.remote(3))) == [0, 1, 2]
    later = tierflow.actor(num_cpus=0)(streams.Later).remote()
    with tierflow.stream(later.numbers.remote(str(tmp_path / "log"))) as read:
        assert [next(read), next(read)] == [0, 1]
    soon(lambda: lines(tmp_path / "log") == ["finally"])


def test_a_stream_that_was_late_goes_on() -> None:
    read = tierflow.stream(streams.slow.remote(3, 1.0), timeout=0.1)
    found: list[int] = []
    late = 0
    while len(found) < 3:
        try:
            found.append(next(read))
        except GetTimeoutError:
            late += 1
    assert found == [0, 1, 2]
    assert late > 5


def test_record_batches_make_a_reader() -> None:
    schema = pa.schema({"x": pa.int64()})
    table = pa.RecordBatchReader.from_batches(schema, tierflow.stream(streams.tables.remote(4))).read_all()
    assert table["x"].to_pylist() == [number for number in range(4) for _ in range(3)]


def test_a_generator_runs_in_its_calls_context() -> None:
    items = list(tierflow.stream(streams.nested.remote()))
    [task, actor, node], doubles, read, thread = items[0], items[1:4], items[4], items[5]
    assert (actor, node, doubles, read, thread) == (None, "cam-1", [0, 2, 4], [0, 1, 2], "tierflow-ahead")
    assert tierflow.get(streams.reads.remote()) == [0, 1, 2]
    refs = streams.Source.remote().whose.remote()
    task, actor, _ = tierflow.get(next(refs))
    assert task == refs.completed().task_id().hex()
    assert actor == refs.completed().task_id().actor_id().hex()


def test_an_actors_own_calls_are_plain_generators(tmp_path: Path) -> None:
    source = streams.Source.remote()
    assert tierflow.get(source.all.remote(str(tmp_path / "log"), 4)) == [1, 1, 2, 3]
    assert tierflow.get(source.echoed.remote()) == [0, 6, "end"]
    assert list(tierflow.stream(source.tree.remote(3))) == ["tierflow-ahead"] * 4
    assert [int(item[0]) for item in streams.Source().batches(str(tmp_path / "own"), 3)] == [0, 1, 2]


def test_what_is_no_stream_is_refused() -> None:
    wrong: Any = [1]
    with pytest.raises(TypeError, match=r"what \.remote\(\) of a generator gives, not list"):
        tierflow.stream(wrong)
    with pytest.raises(OptionError, match="ahead='big' is no size; write it like '8 MB'"):
        tierflow.stream(streams.slow.remote(1, 0), ahead="big")
    assert np.array_equal(list(tierflow.stream(streams.slow.remote(3, 0))), [0, 1, 2])
