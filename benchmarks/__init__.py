"""Measurements against baselines; `python -m benchmarks`."""
