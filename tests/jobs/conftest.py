from __future__ import annotations

from pathlib import Path

import pytest

import tierflow.testing
from jobs.anomaly.outcome import Outcome
from jobs.anomaly.run import run

CLUSTERS = Path(__file__).parents[2] / "clusters"


def play(cluster: str, seed: int) -> Outcome:
    """The whole job on this cluster file, in this process."""
    with tierflow.testing.fabric(CLUSTERS / cluster):
        return run([], seed=seed, tell=lambda stage, done, total: None)


@pytest.fixture(scope="session")
def outcome() -> Outcome:
    """One run on the demo's cluster."""
    return play("demo.yaml", 0)
