"""How many nodes of plain Ray are up: ``python -m benchmarks.plain_ray_driver`` on one of them."""

from __future__ import annotations

from typing import Any

import ray

from benchmarks.driven import answer

if __name__ == "__main__":
    ray.init(address="auto", log_to_driver=False)
    nodes: Any = ray.nodes
    answer(sum(bool(node["Alive"]) for node in nodes()))
