"""Ray's pickler sends Arrow data and tensors as the exchange's payloads."""

from __future__ import annotations

from ray.cloudpickle import CloudPickler

from tierflow import exchange

__all__ = ["register"]


def register() -> None:
    """Cover this process: call it once Ray has started in it (cheap, may be repeated, imports no torch)."""
    exchange.register(CloudPickler.dispatch)
