"""The rules of the house: floors, sizes, the front page, and what an import costs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tierflow

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("tierflow", "jobs", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
PACKAGES = ["tierflow", *(f"tierflow.{m.name}" for m in pkgutil.iter_modules(tierflow.__path__) if m.ispkg)]
VAGUE = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

LONG_FUNCTIONS: dict[str, str] = {}
"""Functions of more than 50 lines, each with the reason why it is one."""

FRONT_PAGE = [
    "Actor",
    "Cut",
    "Envelope",
    "FabricError",
    "Followed",
    "Inbox",
    "Member",
    "NoPlacement",
    "OptionError",
    "Outbox",
    "OutboxFull",
    "Placement",
    "Refusal",
    "StayRefused",
    "Stream",
    "Task",
    "TierflowError",
    "actor",
    "describe",
    "explain",
    "follow",
    "get",
    "init",
    "multicast",
    "nodes",
    "placement",
    "publish",
    "put",
    "stream",
    "task",
    "traffic",
    "wait",
]


def test_the_floors_are_kept() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short_and_named_for_what_they_hold(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert path.stem not in VAGUE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 50 or f"{path.stem}.{node.name}" in LONG_FUNCTIONS, f"{node.name}: {length} lines"


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_lists_its_public_names(name: str) -> None:
    package = importlib.import_module(name)
    assert list(package.__all__) == sorted(package.__all__, key=_as_ruff_sorts)
    for public in package.__all__:
        assert getattr(package, public) is not None


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def test_the_front_page_changes_on_purpose_only() -> None:
    assert tierflow.__all__ == FRONT_PAGE


@pytest.mark.parametrize("heavy", ["torch", "fastapi", "ray", "pyarrow", "numpy", "rich", "cryptography"])
def test_import_tierflow_does_not_load(heavy: str) -> None:
    code = f"import sys, tierflow; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
