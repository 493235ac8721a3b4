from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest
from ray import cloudpickle

import tierflow
from tests.sdk import program

SCRIPT = """
import tierflow

factor = 3

@tierflow.task
def triple(x):
    return factor * x

@tierflow.task(num_cpus=0.1)
def countdown(n):
    return [n] + (tierflow.get(countdown.remote(n - 1)) if n else [])

@tierflow.actor(tier="edge", num_cpus=0)
class Keeper:
    def __init__(self, value): self.value = value
    def get(self): return triple(self.value)
    def kind(self): return type(self).__name__
    def again(self): return Keeper(self.value + 1)

def closure(y):
    @tierflow.task(num_cpus=0)
    def plus(x): return x + y
    return plus

print(triple(2), tierflow.get(triple.remote(2)))
print(tierflow.get(countdown.remote(2)))
keeper = Keeper.remote(4)
print(tierflow.get([keeper.get.remote(), keeper.kind.remote()]), tierflow.get(keeper.again.remote()).value)
print(tierflow.get(closure(5).remote(1)))
"""
SAID = "6 6\n[2, 1, 0]\n[12, 'edge/Keeper'] 5\n6\n"


@pytest.mark.parametrize("handle", [program.add, program.Outer.inside, program.Counter, program.DoubleCounter])
@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_a_handle_pickles_as_its_name(handle: object, pickler: types.ModuleType) -> None:
    data = pickler.dumps(handle)
    assert len(data) < 80
    assert pickle.loads(data) is handle


def test_options_pickle_as_the_handle_and_the_difference() -> None:
    handle = program.add.options(tier="cloud", num_cpus=2)
    again = pickle.loads(pickle.dumps(handle))
    assert repr(again) == repr(handle) == "<task cloud/add of tests.sdk.program>"
    assert again.raw is program.add.raw
    assert again(1) == 2


def test_what_a_worker_gets_of_a_task_is_a_name() -> None:
    assert len(cloudpickle.dumps(program.add._body)) < 80
    assert pickle.loads(cloudpickle.dumps(program.add._body)) is program.add._body


def test_a_copy_is_the_handle() -> None:
    assert copy.copy(program.add) is program.add
    assert copy.deepcopy([program.Counter])[0] is program.Counter


def test_a_closure_pickles_by_value() -> None:
    def times(n: int) -> tierflow.Task[[int], int]:
        @tierflow.task(tier="edge")
        def product(x: int) -> int:
            return n * x

        return product

    again = pickle.loads(cloudpickle.dumps(times(3)))
    assert again(2) == 6
    assert repr(again) == f"<task edge/product of {__name__}>"


def test_a_notebook_pickles_by_value_and_may_name_itself() -> None:
    notebook = types.ModuleType("__main__")
    main, sys.modules["__main__"] = sys.modules["__main__"], notebook
    try:
        source = "import tierflow\n@tierflow.task\ndef down(n): return [n] + (down(n - 1) if n else [])"
        exec(source, notebook.__dict__)
        data = cloudpickle.dumps(notebook.down)
    finally:
        sys.modules["__main__"] = main
    again = pickle.loads(data)
    assert again(2) == [2, 1, 0]
    assert again.raw.__globals__["down"] is again


@pytest.mark.usefixtures("cluster")
def test_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == SAID, done.stderr
