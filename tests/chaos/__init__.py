"""Histories under faults: a plan drawn from a seed, real processes that live through it, a checker of what they tell.

`plan` and `checker` are pure. `processes` runs a plan with the stores alone (real processes, real kill -9, real file
systems that lose their power; hundreds of seeds a minute), `fleet` runs one on a fabric of the rig. ``make chaos``
runs many (`run`); a failure prints its seed and its plan, and ``make chaos SEED=that N=1`` replays it.
"""
