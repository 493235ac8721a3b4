"""Find anomalies in sensor series across device, edge and cloud: ``tierflow submit jobs/sensor_anomaly.py``.

Each device replays a different real series (or your own: ``--input FILE``) and scores it with a small model, trained in
its site; the edge of the site gives second opinions by a larger model, trained on what the sites release. Readings are
held to their device and their site; where all else runs is the fabric's to find.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

import tierflow
from jobs.anomaly.device import Source
from jobs.anomaly.progress import Display
from jobs.anomaly.report import write
from jobs.anomaly.run import run
from jobs.anomaly.series import SeriesError
from jobs.anomaly.tables import show

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when done, 1 for an error that is the input's or the fabric's, 130 when stopped by Ctrl-C."""
    asked = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    given = [
        Source(_name(path, at), file=path.resolve(), time=asked.time, label=asked.label)
        for at, path in enumerate(asked.input)
    ]
    try:
        with Display(console) as tell:
            outcome = run(given, seed=asked.seed, tell=tell, drawings=not asked.no_drawings, watch=asked.watch)
    except (SeriesError, tierflow.TierflowError) as error:
        # From a node the error comes wrapped in that node's traceback; the sentence inside is what the user needs.
        console.print(
            f"error: {getattr(error, 'cause', error)}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        return 1
    except KeyboardInterrupt:
        console.print("Stopped before scoring began: there is nothing to show yet.", style="yellow")
        return 130
    show(outcome, console)
    write(outcome, asked.report)
    console.print(f"Report: {asked.report.resolve()}", highlight=False)
    return 130 if outcome.stopped else 0


def _name(path: Path, at: int) -> str:
    return path.stem if at == 0 else f"{path.stem}-{at + 1}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sensor_anomaly.py", description=(__doc__ or "").split("\n\n")[1])
    add = parser.add_argument
    add("--input", type=Path, action="append", default=[], metavar="FILE",
        help="your own CSV or Parquet in place of the shipped series; again for the next device")  # fmt: skip
    add("--time", metavar="COLUMN", help="the time column (default: time, timestamp, datetime, date, else the first)")
    add("--label", metavar="COLUMN", help="the label column (default: label, anomaly, is_anomaly, else none)")
    add("--report", type=Path, default=Path("report.html"), metavar="PATH", help="where the HTML report goes")
    add("--seed", type=int, default=0, help="the same seed gives the same models, scores and alarms")
    add("--watch", type=float, default=0.0, metavar="SECONDS",
        help="then let the devices go on by themselves, also through cuts; verdicts wait in an outbox")  # fmt: skip
    add("--no-drawings", action="store_true", help="keep even the drawings of the readings in their sites")
    return parser


if __name__ == "__main__":
    sys.exit(main())
