from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

NO_FABRIC = """
import ray, tierflow

@tierflow.task
def f(): return 1

try:
    f.remote()
except tierflow.FabricError as error:
    print(error)
print(f(), ray.is_initialized())
"""


def test_without_a_fabric_a_call_says_how_to_get_one_and_starts_none(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env |= {"PYTHONPATH": str(ROOT), "RAY_TMPDIR": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}
    env["RAY_ADDRESS"] = "127.0.0.1:1"
    done = subprocess.run(
        [sys.executable, "-c", NO_FABRIC], capture_output=True, text=True, check=True, timeout=60, env=env
    )
    assert done.stdout.startswith("no fabric can be joined at 127.0.0.1:1 ("), done
    assert "; start one with `tierflow up FILE`" in done.stdout
    assert done.stdout.endswith("1 False\n")


PLAIN_RAY = """
import ray, tierflow
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)

@tierflow.task
def f(): return 1

print(tierflow.get(f.remote()))
try:
    f.options(stay="device").remote()
except tierflow.FabricError as error:
    print(error)
try:
    tierflow.explain(f.remote())
except tierflow.FabricError as error:
    print(error)
"""


def test_a_cluster_without_a_registry_runs_calls_and_refuses_policies_that_nobody_could_keep() -> None:
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="tf-") as folder:  # short: Ray puts sockets in it
        env |= {"PYTHONPATH": str(ROOT), "RAY_TMPDIR": folder}
        done = subprocess.run(
            [sys.executable, "-c", PLAIN_RAY], capture_output=True, text=True, check=True, timeout=60, env=env
        )
    ran, refused, unknown = done.stdout.splitlines()
    assert ran == "1"
    assert refused.startswith("any/f has a policy (stay), and this cluster has no registry")
    assert unknown.startswith("nothing is known of how ")


def test_importing_tierflow_and_decorating_loads_nothing_heavy() -> None:
    code = """
import sys, tierflow
@tierflow.task
def f(x): return x
@tierflow.actor
class C: pass
f(1); C()
print([name for name in ("ray", "torch", "fastapi", "pyarrow", "numpy") if name in sys.modules])
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "[]\n"
