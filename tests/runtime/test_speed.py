"""The measured speed and its cache; one real measurement for all tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tierflow.errors import FabricError
from tierflow.runtime.cache import profiles_file, speeds_file
from tierflow.runtime.hardware import hardware
from tierflow.runtime.speed import Measured, measured
from tierflow.topology.column import Source


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the speed of this machine."""
    file = tmp_path_factory.mktemp("cache") / "tierflow" / "speed.json"
    measured(hardware(), file)
    return file


@pytest.fixture
def nothing_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")


def test_a_speed_is_measured_and_has_a_doubt(cache: Path) -> None:
    found = measured(hardware(), cache)
    assert 0.01 < found.speed.value < 100
    assert 0 < found.speed.deviation < found.speed.value
    assert found.speed.source is Source.MEASURED


@pytest.mark.usefixtures("nothing_can_be_measured")
def test_the_same_hardware_is_not_measured_again(cache: Path) -> None:
    assert isinstance(measured(hardware(), cache), Measured)


@pytest.mark.usefixtures("nothing_can_be_measured")
@pytest.mark.parametrize(
    "row",
    [
        "",
        "{",
        "[]",
        '{"KEY": 3}',
        '{"KEY": {"speed": "fast"}}',
        '{"KEY": {"speed": -1.0, "deviation": 0.0, "devices": []}}',
        '{"KEY": {"speed": 1.0, "deviation": 0.0, "devices": [3]}}',
    ],
)
def test_a_corrupt_cache_is_as_good_as_none(tmp_path: Path, row: str) -> None:
    found = hardware()
    file = tmp_path / "speed.json"
    file.write_text(row.replace("KEY", found.key))
    with pytest.raises(FabricError, match="the speed of this node cannot be measured"):
        measured(found, file)


def test_a_measurement_leaves_the_other_rows_of_the_cache(cache: Path) -> None:
    known = json.loads(cache.read_text())
    cache.write_text(json.dumps({"another machine": next(iter(known.values()))}))
    measured(hardware(), cache)
    assert set(json.loads(cache.read_text())) == {"another machine", hardware().key}
    assert [path.name for path in cache.parent.iterdir()] == ["speed.json"]


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERFLOW_CACHE", "/somewhere")
    assert speeds_file() == Path("/somewhere/speed.json")
    monkeypatch.delenv("TIERFLOW_CACHE")
    monkeypatch.setenv("HOME", "/home/me")
    assert speeds_file() == Path("/home/me/.cache/tierflow/speed.json")
    assert profiles_file("demo") == Path("/home/me/.cache/tierflow/profiles/demo.jsonl")


def test_a_node_without_torch_is_measured_by_what_it_has() -> None:
    program = "import sys; sys.modules['torch'] = None; from tierflow.runtime.kernels import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said["devices"] == []
    assert all(speed > 0 for speed in said["speeds"])
