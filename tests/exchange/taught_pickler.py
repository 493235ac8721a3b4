"""A plain pickler taught by ``register``: what Ray does with a value, without Ray."""

from __future__ import annotations

import copyreg
import io
import pickle
from collections import ChainMap
from typing import Any

from tierflow.exchange import register


def dumps(value: object) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """The pickle and the buffers beside it."""
    beside: list[pickle.PickleBuffer] = []
    sink = io.BytesIO()
    pickler = pickle.Pickler(sink, protocol=5, buffer_callback=beside.append)
    pickler.dispatch_table = ChainMap({}, copyreg.dispatch_table)
    register(pickler.dispatch_table)
    pickler.dump(value)
    return sink.getvalue(), beside


def sent(value: Any) -> Any:
    """The value as a reader in another process gets it: over read-only memory that is not the sender's."""
    pickled, beside = dumps(value)
    return pickle.loads(pickled, buffers=[bytes(buffer.raw()) for buffer in beside])


def weight(value: object) -> int:
    """Bytes that really travel."""
    pickled, beside = dumps(value)
    return len(pickled) + sum(buffer.raw().nbytes for buffer in beside)
