"""``python -m tests.chaos.run --count 200 --seed 1``: live through many plans and say which histories were wrong.

On a fabric of the rig, one for all of them; with ``--without-ray``, or where this machine cannot make a rig, with the
stores alone. ``--count 1 --seed N`` replays one.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos import disks, planted, processes
from tests.chaos.checker import check
from tests.chaos.history import Answered, Applied, Called, History, Kept, Published, save
from tests.chaos.plan import Plan, World, draw
from tierflow.rig import missing_privilege

__all__ = ["main"]

KEPT = Path(tempfile.gettempdir())
Live = Callable[[Plan], tuple[History, list[str]]]


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 if no history was wrong, 1 if some were, 130 if it was interrupted."""
    asked = _asked(arguments)
    interrupted = _interruptible()
    console = Console(stderr=True, width=max(100, Console(stderr=True).width))
    plant = planted.BUGS[asked.plant][0] if asked.plant else nullcontext
    found = _Found()
    try:
        with plant(), _world(asked.without_ray, console) as (world, live), _progress(console) as progress:
            bar = progress.add_task("", total=asked.count, wrong=0, seed="")
            for seed in range(asked.seed, asked.seed + asked.count):
                progress.update(bar, seed=f"seed {seed}")
                plan = draw(seed, world)
                history, troubles = live(plan)
                wrong = [*troubles, *check(history)]
                found.add(plan, history, wrong)
                if wrong:
                    _say(progress.console, asked, plan, history, wrong)
                progress.update(bar, advance=1, wrong=len(found.failed))
                if interrupted.is_set():
                    raise KeyboardInterrupt
                if wrong and asked.first:
                    break
    except KeyboardInterrupt:
        console.print("interrupted; what was made is gone")
        print(json.dumps(found.summary()))
        return 130
    print(json.dumps(found.summary()))
    if asked.json:
        asked.json.write_text(json.dumps(found.summary(), indent=1) + "\n")
    return 1 if found.failed else 0


def _interruptible() -> threading.Event:
    """Let SIGINT and SIGTERM raise `KeyboardInterrupt`; set by them too, since what is raised in the hooks of a fork is
    ignored.
    """
    interrupted = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    return interrupted


def _asked(arguments: list[str] | None) -> Any:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many seeds, one after the other")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--without-ray", action="store_true", help="the stores alone, in real processes")
    parser.add_argument("--first", action="store_true", help="end with the first history that is wrong")
    parser.add_argument("--plant", choices=planted.BUGS, help="a bug to find, with --without-ray")
    parser.add_argument("--json", type=Path, help="a file for what was found")
    return parser.parse_args(arguments)


@contextmanager
def _world(without_ray: bool, console: Console) -> Iterator[tuple[World, Live]]:
    """What plans are drawn for, and who lives through them."""
    missing = missing_privilege()
    if missing and not without_ray:
        console.print(f"no fabric, since this machine lacks {missing}: the stores alone, in real processes")
    if without_ray or missing:
        if lacks := disks.lacking():
            console.print(f"no disk loses its power here, since this machine lacks {lacks}; processes are killed")
        with disks.disks(processes.NODES) as made, tempfile.TemporaryDirectory() as place:
            yield processes.WORLD, lambda plan: processes.run(plan, made, Path(place))
        return
    from tests.chaos import fleet, voyage

    with fleet.up(console) as ships:
        yield fleet.WORLD, partial(voyage.run, ships)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.fields[seed]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[wrong]} wrong"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _say(console: Console, asked: Any, plan: Plan, history: History, wrong: list[str]) -> None:
    kept = KEPT / f"tierflow-chaos-{plan.seed}.jsonl"
    save(kept, history)
    part = " WITHOUT_RAY=1" if asked.without_ray else ""
    console.print(str(plan), *wrong, sep="\n", markup=False, highlight=False, soft_wrap=True)
    console.print(f"its history: {kept}; again: make chaos SEED={plan.seed} N=1{part}", markup=False, soft_wrap=True)


class _Found:
    """What all runs showed together."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.failed: dict[int, list[str]] = {}
        self.faults: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def add(self, plan: Plan, history: History, wrong: list[str]) -> None:
        self.seeds.append(plan.seed)
        if wrong:
            self.failed[plan.seed] = wrong
        self.faults.update(fault.kind for fault in plan.faults)
        kept = {event.id for event in history if isinstance(event, Kept)}
        applied = Counter(event.id for event in history if isinstance(event, Applied))
        self.counts["acknowledged"] += len(kept)
        self.counts["lost"] += len(kept - applied.keys())
        self.counts["applied twice"] += sum(count > 1 for count in applied.values())
        self.counts["versions"] += sum(isinstance(event, Published) for event in history)
        self.counts["calls"] += sum(isinstance(event, Called) for event in history)
        self.counts["calls that nothing stood in the way of"] += sum(
            isinstance(event, Called) and event.must for event in history
        )
        self.counts["calls answered"] += sum(isinstance(event, Answered) and not event.error for event in history)

    def summary(self) -> dict[str, Any]:
        return {
            "runs": len(self.seeds),
            "seeds": [self.seeds[0], self.seeds[-1]] if self.seeds else [],
            "failed": self.failed,
            "faults": dict(sorted(self.faults.items())),
            **dict(self.counts),
        }


if __name__ == "__main__":
    sys.exit(main())
