"""Loading: what a cluster file says, the files we ship, and what is no file."""

from __future__ import annotations

import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.errors import ClusterFileError
from tierflow.topology import load, parse

CLUSTERS = Path(__file__).parents[2] / "clusters"


def test_a_file_is_read_with_its_units_and_its_defaults(valid: str) -> None:
    spec = parse(valid)
    assert [node.name for node in spec.nodes] == ["cloud-1", "gw-1", "cam-1"]
    assert (spec.links[0].rate, spec.links[0].delay, spec.links[0].loss) == (2.5e6, 0.025, 0.0)
    assert (spec.nodes[0].cpus, spec.nodes[0].speed, spec.nodes[0].price) == (1, 1.0, 0.0)
    assert spec.head.name == "cloud-1"


@pytest.mark.parametrize(
    ("file", "nodes", "hosts"),
    [("demo", 5, "rig"), ("campus", 9, "rig"), ("one-machine", 5, "local"), ("onprem", 7, "machines")],
)
def test_the_files_we_ship_are_right(file: str, nodes: int, hosts: str) -> None:
    spec = load(CLUSTERS / f"{file}.yaml")
    assert (spec.name, len(spec.nodes), spec.hosts) == (file, nodes, hosts)
    assert sum(node.cpu_quota or 0 for node in spec.nodes) <= 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(ClusterFileError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: there is no such file; check the path"


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ClusterFileError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path}: this is a directory; name a cluster file inside it"


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_a_path_that_cannot_be_opened(path: str) -> None:
    with pytest.raises(ClusterFileError, match=r"the file cannot be read \(.*\); check the path and its rights"):
        load(path)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: demo\nhosts: caf\xe9\n")
    with pytest.raises(ClusterFileError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:2: this is not UTF-8 text; save the file as UTF-8"


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ClusterFileError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: the file is larger than 1 MiB; a cluster file is a page or two of text"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path, valid: str) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + valid.encode())
    assert load(str(path)) == parse(valid)


def test_the_error_carries_its_data_and_pickles(valid: str) -> None:
    with pytest.raises(ClusterFileError) as caught:
        parse(valid.replace("25 ms", "25"), "c.yaml")
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.file, error.line, str(error)) == ("c.yaml", 14, str(caught.value))


@given(line=st.integers(3, 15), text=st.text(max_size=30))
def test_any_line_of_any_text_gives_a_spec_or_one_error(line: int, text: str) -> None:
    lines = (CLUSTERS / "one-machine.yaml").read_text().splitlines()
    lines[line] = text
    with suppress(ClusterFileError):
        parse("\n".join(lines), "c.yaml")
