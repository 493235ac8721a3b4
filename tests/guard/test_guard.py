from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tierflow.errors import StayRefused, Withheld

ROOT = Path(__file__).parents[2]
REFUSED = "may not leave cam-1"


def run(program: str) -> dict[str, Any]:
    """What a program saw."""
    path = Path(__file__).with_name(program)
    own = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "GUARDED", "TIERFLOW_NODE")}
    with tempfile.TemporaryDirectory(prefix="tf-") as place:
        done = subprocess.run(
            [sys.executable, str(path), place], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
            env=own | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return run("guarded.py")


@pytest.fixture(scope="module")
def turns() -> dict[str, Any]:
    return run("guarded_turns.py")


@pytest.mark.parametrize(
    "error", [StayRefused("a table", "gw-1 asked for it", "cam-1", "do", "4f"), Withheld("f", "KeyError", "cam-1")]
)
def test_errors_travel_whole(error: Exception) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), vars(back)) == (str(error), vars(error))
    assert "may not leave cam-1" in str(back)


def test_nothing_is_watched_before_the_first_label(found: dict[str, Any]) -> None:
    assert found["before"] == [False, True, False]
    assert found["untainted"] == repr(repr("SECRET" * 4))


def test_what_a_task_read_is_forgotten_with_it(found: dict[str, Any]) -> None:
    assert found["after"][1] is True


@pytest.mark.parametrize(
    "way", ["elsewhere", "put", "by default", "by class", "by attribute", "threaded", "async", "made of it"]
)
def test_a_way_out(found: dict[str, Any], way: str) -> None:
    assert REFUSED in found[way]
    assert "SECRET" not in found[way]


def test_each_of_several_results_is_sealed_or_released(found: dict[str, Any]) -> None:
    sealed, also = found["of two"]
    assert REFUSED in sealed
    assert also == repr(repr((1, 2)))
    assert found["of a released pair"] == repr(repr((1, 2)))


def test_an_error_says_its_type_only(found: dict[str, Any]) -> None:
    assert "fails ended in ValueError; what that says may hold data" in found["text"]
    assert "SECRET" not in found["text"]


def test_none_and_the_names_of_arguments_go_as_they_are(found: dict[str, Any]) -> None:
    assert found["empty handed"] == ["None", "None"]


def test_code_that_holds_nothing_goes_as_it_is(found: dict[str, Any]) -> None:
    assert found["code alone"] == "8"


def test_references_in_a_sealed_value_keep_what_they_refer_to(found: dict[str, Any]) -> None:
    assert found["kept alive"] == [1]


def test_a_program_that_has_read_it_sends_sealed(found: dict[str, Any]) -> None:
    text, array, watched = found["tainted"]
    assert REFUSED in text
    assert REFUSED in array
    assert watched


def test_a_thread_reads_for_its_task_and_a_task_only_for_itself(turns: dict[str, Any]) -> None:
    assert REFUSED in turns["in a thread"]
    assert turns["innocent"] == repr(repr("innocent"))


def test_our_own_errors_carry_nothing_of_others(turns: dict[str, Any]) -> None:
    assert REFUSED in turns["our error"]
    assert "SECRET" not in turns["our error"]


def test_an_error_of_the_unpickling_is_withheld(turns: dict[str, Any]) -> None:
    assert "SECRET" not in turns["unpickling"]
    assert "reads" in turns["unpickling"]


def test_a_method_releases_to_others_and_gives_its_actor_the_value(turns: dict[str, Any]) -> None:
    assert turns["released"]
    assert turns["said"]
    assert turns["items"]
    assert REFUSED in turns["by itself"]


def test_it_is_no_secret_that_an_actor_is_there(turns: dict[str, Any]) -> None:
    assert turns["is there"] == "True"
