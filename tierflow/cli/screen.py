"""What every command shares of the terminal: the two consoles, and how errors are shown."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.table import Table

from tierflow.errors import TierflowError
from tierflow.units import show_duration

__all__ = ["out", "reports_errors", "say", "show_left", "table"]

out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
"""Standard output: what was asked for. A file or a pipe has no width of its own."""

say = Console(stderr=True, highlight=False)
"""Standard error: progress and errors."""


def table(*titles: str) -> Table:
    """A table without lines, whose first column is never cut: names must stay apart on a narrow screen too."""
    made = Table(box=None, padding=(0, 2, 0, 0))
    for index, title in enumerate(titles):
        made.add_column(title, no_wrap=index == 0, overflow="fold")
    return made


def show_left(seconds: float) -> str:
    """Time that is left, to the tenth of a day, or to the second of the last one."""
    return f"{seconds / 86400:.1f} days" if seconds >= 86400 else show_duration(max(round(seconds), 0))


@contextmanager
def reports_errors() -> Iterator[None]:
    """Turn an error of ours into its sentence and exit code 1, and Ctrl-C or SIGTERM into 130, after clean-up."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except TierflowError as error:
        say.print("[bold red]error:[/] ", end="")
        say.print(str(error), markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        say.print("interrupted")
        sys.exit(130)
