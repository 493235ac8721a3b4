"""Tokens and environments."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tierflow.errors import FabricError
from tierflow.runtime.settings import child_environment, make_token, ray_environment, read_token


def test_a_token_is_random_and_its_owners_only(tmp_path: Path) -> None:
    first, second = make_token(tmp_path / "a"), make_token(tmp_path / "b")
    assert read_token(first) != read_token(second)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, " \n"])
def test_a_missing_or_empty_token_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FabricError, match="take the fabric down and start it again"):
        read_token(path)


def test_another_clusters_settings_are_not_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    environment = child_environment(ray_environment(tmp_path / "token"))
    assert "RAY_ADDRESS" not in environment
    assert environment["RAY_AUTH_MODE"] == "token"
    assert int(environment["REPORTER_UPDATE_INTERVAL_MS"]) >= 120_000  # E2: an idle node is quiet
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "token")
