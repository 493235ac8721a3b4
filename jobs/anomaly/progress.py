"""How the run gets on: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Display"]


class Display:
    """Call it as ``tell(stage, done, all)``; a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.live = Progress(*columns, console=console) if console.is_terminal else None
        self.stages: dict[str, TaskID] = {}
        self.said: tuple[str, int] = ("", -1)

    def __enter__(self) -> Display:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` parts of this stage are ready."""
        if self.live is None:
            quarter = 4 * done // max(total, 1)
            if (stage, quarter) != self.said:
                self.said = (stage, quarter)
                self.console.print(f"{stage}: {done} of {total}", highlight=False, markup=False)
            return
        if stage not in self.stages:
            self.stages[stage] = self.live.add_task(stage, total=total)
        self.live.update(self.stages[stage], completed=done, total=total)
