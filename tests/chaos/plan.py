"""A plan of work and faults, drawn from a seed. Pure: the same seed and world give the same plan."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["KINDS", "Fault", "Kind", "Plan", "Put", "World", "draw"]

Kind = Literal[
    "cut",
    "one way",
    "flap",
    "loss",
    "slow",
    "kill",
    "pause",
    "power",
    "full",
    "clock",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class World:
    """What a plan may be drawn for.

    Attributes:
        writers: the nodes that put records, and how many processes of each do.
        targets: what each kind of fault can hit; `weight`: how often it comes, beside the others.
        span: seconds in which work is done and faults begin; `longest`: seconds that a fault lasts at the most.
        puts: records of one writer, at the most; versions: how many are published, at the most.
        calls: what is called, and how many times at the most.
    """

    writers: Mapping[str, int]
    targets: Mapping[Kind, tuple[str, ...]]
    weight: Mapping[Kind, float]
    span: float
    longest: float
    puts: int
    versions: int = 0
    faults: int = 6
    calls: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """A writer puts a record `at` seconds after the start (or later, if it was busy)."""

    at: float
    key: str
    priority: int
    size: int


@dataclass(frozen=True, slots=True)
class Fault:
    """From `at` on, for `lasts` seconds. `amount` is in 0..1: how much of it, where that can be said."""

    at: float
    lasts: float
    kind: Kind
    target: str
    amount: float

    def __str__(self) -> str:
        return f"{self.at:6.3f} s  {self.kind} {self.target}, for {self.lasts:.3f} s ({self.amount:.2f})"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that happens in one run, but what the machine adds. Writers are (node, number)."""

    seed: int
    puts: Mapping[tuple[str, int], tuple[Put, ...]]
    versions: tuple[float, ...]
    calls: Mapping[str, tuple[float, ...]]
    faults: tuple[Fault, ...]

    @property
    def ends(self) -> float:
        """Seconds after the start at which the last fault is over."""
        return max((fault.at + fault.lasts for fault in self.faults), default=0.0)

    def __str__(self) -> str:
        work = ", ".join(f"{node}/{number}: {len(puts)} puts" for (node, number), puts in self.puts.items())
        return "\n".join([f"seed {self.seed}; {work}; {len(self.versions)} versions", *map(str, self.faults)])


def draw(seed: int, world: World) -> Plan:
    """The plan of a seed."""
    rng = random.Random(seed)
    puts = {
        (node, number): _puts(rng, rng.randint(1, world.puts), world.span)
        for node, writers in sorted(world.writers.items())
        for number in range(writers)
    }
    versions = _times(rng, rng.randint(min(world.versions, 1), world.versions), world.span)
    calls = {name: _times(rng, rng.randint(1, most), world.span) for name, most in sorted((world.calls or {}).items())}
    kinds = sorted(kind for kind in world.targets if world.targets[kind] and world.weight.get(kind, 1.0) > 0)
    weights = [world.weight.get(kind, 1.0) for kind in kinds]
    faults = []
    for _ in range(rng.randint(1, world.faults)):
        kind = rng.choices(kinds, weights)[0]
        at, lasts = rng.uniform(0, world.span), rng.uniform(0.1, 1.0) * world.longest
        faults.append(Fault(at, lasts, kind, rng.choice(world.targets[kind]), rng.random()))
    return Plan(seed, puts, versions, calls, tuple(sorted(faults, key=lambda fault: fault.at)))


def _puts(rng: random.Random, count: int, span: float) -> tuple[Put, ...]:
    """Few keys, so that records of one key meet; bursts, since that is how a backlog is made."""
    keys = [f"key-{number}" for number in range(rng.randint(1, 4))]
    urgent, large = rng.choice((0.0, 0.2, 0.5)), rng.choice((0.0, 0.1))
    return tuple(
        Put(
            at,
            rng.choice(keys),
            rng.randint(1, 3) if rng.random() < urgent else 0,
            rng.randint(8_000, 40_000) if rng.random() < large else rng.randint(10, 300),
        )
        for at in _times(rng, count, span)
    )


def _times(rng: random.Random, count: int, span: float) -> tuple[float, ...]:
    burst = rng.random() < 0.5
    start = rng.uniform(0, span / 2)
    return tuple(sorted(start if burst else rng.uniform(0, span) for _ in range(count)))
