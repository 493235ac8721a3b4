from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

NODES = {"cloud-1": ("cloud", "region-1", 1), "gw-1": ("edge", "plant-1", 2), "cam-1": ("device", "plant-1", 1)}


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Three labelled Ray nodes on this machine; this process is not connected yet."""
    import ray
    from ray.cluster_utils import Cluster

    if ray.is_initialized():
        ray.shutdown()
    with pytest.MonkeyPatch.context() as settings:
        settings.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        settings.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        cluster = Cluster()
        for name, (tier, site, cpus) in NODES.items():
            labels = {"tierflow.io/tier": tier, "tierflow.io/site": site, "tierflow.io/node": name}
            head = {"include_dashboard": True} if name == "cloud-1" else {}
            cluster.add_node(num_cpus=cpus, labels=labels, object_store_memory=1 << 27, **head)
        settings.setenv("RAY_ADDRESS", cluster.address)
        yield cluster.address
        with warnings.catch_warnings():
            # Ray drops its handles of the processes it has just ended without waiting for them.
            warnings.simplefilter("ignore", ResourceWarning)
            ray.shutdown()
            cluster.shutdown()
            gc.collect()
