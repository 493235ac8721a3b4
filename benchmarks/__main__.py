"""``python -m benchmarks [ID ...] [--quick]``: measure, and keep what was found in ``benchmarks/results``."""

from __future__ import annotations

import argparse

from rich.console import Console

from benchmarks import cut, dispatch, idle, placement, prediction, transfers, urgent
from benchmarks.results import write
from tierflow.cli.screen import reports_errors

BENCHMARKS = {
    "C3": dispatch.run,
    "D1": prediction.run,
    "D2": placement.run,
    "E1": cut.run,
    "E2": idle.run,
    "G1": transfers.run,
    "G2": urgent.run,
}


def main() -> None:
    """Run the benchmarks that were named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure against the baselines.")
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer repeats; prints and keeps nothing")
    asked = parser.parse_args()
    unknown = sorted(set(asked.ids) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    console = Console(width=120)
    for name in asked.ids or BENCHMARKS:
        result = BENCHMARKS[name](quick=asked.quick)
        for figure in result.figures:
            console.print(
                f"{name}  {figure.name}: {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g}) {figure.unit}",
                soft_wrap=True,
            )
        if not asked.quick:
            result.save()
            write()


if __name__ == "__main__":
    with reports_errors():
        main()
