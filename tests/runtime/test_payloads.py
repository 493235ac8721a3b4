"""Ray's pickler is ours from the first value on."""

from __future__ import annotations

import subprocess
import sys

FRESH = """
import pyarrow as pa
import ray.util
from ray.cloudpickle import CloudPickler
from tierflow.runtime import payloads

payloads.register()
mine = CloudPickler.dispatch[pa.Table]
assert mine.__module__ == "tierflow.exchange.pickling", mine


class Any: ...


# What Ray does when a process pickles its first value: it makes its table of reducers.
ray.util.register_serializer(Any, serializer=vars, deserializer=Any)
assert CloudPickler.dispatch[pa.Table] is mine
assert len([link for link in CloudPickler.dispatch.maps if type(link).__name__ == "_TensorReducer"]) == 1
payloads.register()
assert len([link for link in CloudPickler.dispatch.maps if type(link).__name__ == "_TensorReducer"]) == 1
"""


def test_ray_does_not_take_tables_back_at_the_first_value() -> None:
    subprocess.run([sys.executable, "-c", FRESH], check=True, timeout=60)
