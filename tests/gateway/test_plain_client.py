"""The plain client of `jobs/clients`, over TLS: it needs pyarrow and the standard library, and nothing of tierflow."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.conftest import certify, opened
from tierflow.runtime.keys import TRUSTED

CLIENT = Path(__file__).parents[2] / "jobs" / "clients" / "plain.py"


def test_it_is_short_and_imports_neither_tierflow_nor_ray() -> None:
    lines = CLIENT.read_text().splitlines()
    assert len(lines) <= 60
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= {*sys.stdlib_module_names, "pyarrow"}


def test_over_tls_it_sends_once_goes_on_and_receives(tmp_path: Path) -> None:
    certify(tmp_path)
    gateway = opened(tmp_path, b"a model")
    try:
        (tmp_path / "token").write_text(gateway.token)
        place = [f"https://127.0.0.1:{gateway.http}", f"grpc+tls://127.0.0.1:{gateway.flight}"]
        words = [*place, str(tmp_path / "token"), str(tmp_path / TRUSTED)]
        done = subprocess.run(
            [sys.executable, "-P", str(CLIENT), *words],
            env={}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        said = json.loads(done.stdout or done.stderr)
        assert [sent["again"] for sent in said["sent"]] == [False, True, False]
        assert said["offset"] == 300_000
        assert (said["same"], said["model"]) == (True, "a model")
        assert {key: table.num_rows for key, table in gateway.kept().items()} == {
            "sensor/morning": 50_000,
            "sensor/noon": 50_000,
        }
        with pytest.raises((OSError, http.client.HTTPException)):  # in the clear nothing is answered
            gateway.ask("GET", "/v1/versions/model")
    finally:
        gateway.stop()
