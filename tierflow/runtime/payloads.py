"""Ray's pickler sends Arrow data and tensors as the exchange's payloads."""

from __future__ import annotations

from ray.cloudpickle import CloudPickler
from ray.util import deregister_serializer

from tierflow import exchange

__all__ = ["register"]


def register() -> None:
    """Cover this process: call it before values are handed to Ray (cheap, may be repeated, imports no torch)."""
    # Ray puts in its own reducer for tables when it first pickles a value. Asking it to forget a serializer, here one
    # that it does not have, is the public way to make it do so now, so that ours is not replaced by the first value.
    deregister_serializer(exchange.Payload)
    exchange.register(CloudPickler.dispatch)
