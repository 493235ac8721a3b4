from __future__ import annotations

import gc
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One real Ray node on this machine, with its own object store."""
    import ray

    with pytest.MonkeyPatch.context() as settings, tempfile.TemporaryDirectory(prefix="tf-") as place:
        here = Path(__file__).parent
        settings.setenv("PYTHONPATH", f"{here}:{here.parents[1]}")
        settings.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(
            num_cpus=1, include_dashboard=False, object_store_memory=1 << 28, _temp_dir=place, logging_level="ERROR"
        )
        yield
        with warnings.catch_warnings():
            # Ray drops its handles of the processes it has just ended without waiting for them.
            warnings.simplefilter("ignore", ResourceWarning)
            ray.shutdown()
            gc.collect()
