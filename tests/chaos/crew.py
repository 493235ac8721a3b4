"""The processes of a run: forked, killed for good, started again while they have work, and heard through one pipe."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tests.chaos.history import History, Tried, now, read

__all__ = ["Crew", "Process", "Turn", "turns"]

_PDEATHSIG = 1
"""Of prctl(2): a process ends when the one that forked it does."""

Turn = tuple[float, Callable[[], None]]


@dataclass
class Process:
    """Somebody of a node who is started again whenever he ends before his work is done."""

    node: str
    role: str
    work: Callable[[], None]
    pid: int | None = None
    done: bool = False


class Crew:
    """The processes of one run. `told` is where they tell; `down` holds nodes, and "role node", that are not to run."""

    def __init__(self) -> None:
        self.history: History = []
        self.troubles: list[str] = []
        self.processes: list[Process] = []
        self.down: Counter[str] = Counter()
        self._read, self.told = os.pipe()
        os.set_blocking(self._read, False)
        self._rest = b""
        self.began = now()

    def add(self, node: str, role: str, work: Callable[[], None]) -> Process:
        """One more; he starts when the crew is tended next."""
        self.processes.append(Process(node, role, work))
        return self.processes[-1]

    def of(self, *roles: str) -> list[Process]:
        return [process for process in self.processes if process.role in roles]

    def tend(self) -> None:
        """Hear what was told, see who ended, and start who is to run."""
        self.hear()
        for process in self.processes:
            if process.pid is not None:
                self._see(process)
            elif not process.done and not self.down[process.node] and not self.down[f"{process.role} {process.node}"]:
                process.pid = self._fork(process.work)

    def _see(self, process: Process) -> None:
        pid, status = os.waitpid(process.pid or 0, os.WNOHANG)
        if not pid:
            return
        process.pid, process.done = None, os.WIFEXITED(status)
        if os.WIFEXITED(status) and status:
            self.troubles.append(f"failed: the {process.role} of {process.node}, see its traceback")
        self.hear()

    def _fork(self, work: Callable[[], None]) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is interrupted ends his processes
            ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def hear(self) -> None:
        with suppress(BlockingIOError):
            while part := os.read(self._read, 1 << 16):
                whole, _, self._rest = (self._rest + part).rpartition(b"\n")
                self.history += read(whole.decode() + "\n") if whole else []

    def tried(self, writer: str) -> int:
        """How many records a writer has tried to put: who is started again goes on behind them."""
        return sum(isinstance(event, Tried) and event.id.startswith(f"{writer}/") for event in self.history)

    def kill(self, node: str, role: str | None = None) -> None:
        """End a node's processes, or one of them, as kill -9 does."""
        for process in self.processes:
            if process.node == node and role in (None, process.role) and process.pid is not None:
                with suppress(ProcessLookupError, ChildProcessError):  # interrupted just as it was seen to end
                    os.kill(process.pid, signal.SIGKILL)
                    os.waitpid(process.pid, 0)
                process.pid = None
        self.hear()

    def signal(self, target: str, number: int) -> None:
        """Send a signal to a "role node"."""
        role, _, node = target.partition(" ")
        for process in self.processes:
            if (process.role, process.node) == (role, node) and process.pid is not None:
                os.kill(process.pid, number)

    def live(self, turns: Sequence[Turn]) -> None:
        """Do each turn at its time, in seconds after the beginning."""
        left = sorted(turns, key=lambda turn: turn[0], reverse=True)
        while left:
            self.tend()
            if now() - self.began >= left[-1][0]:
                left.pop()[1]()
            else:
                self._wait(min(left[-1][0] - (now() - self.began), 0.01))

    def all_done(self, processes: Sequence[Process], within: float) -> bool:
        """Wait until they have done their work; whether they have in time."""
        return self.until(lambda: all(process.done for process in processes), within)

    def until(self, holds: Callable[[], bool], within: float, every: float = 0.003) -> bool:
        """Go on until something holds; whether it does in time."""
        end = now() + within
        while not holds():
            if now() > end:
                return False
            self._wait(every)
            self.tend()
        return True

    def close(self) -> None:
        """End all of them."""
        for process in self.processes:
            self.kill(process.node)
        os.close(self._read)
        os.close(self.told)

    def _wait(self, seconds: float) -> None:
        select.select([self._read], [], [], max(seconds, 0.0))


def turns(at: float, lasts: float, times: int, hit: Callable[[], None], undo: Callable[[], None]) -> list[Turn]:
    """When something begins and ends; several `times` for what flaps."""
    each = lasts / times
    starts = [at + turn * each for turn in range(times)]
    on = 0.5 if times > 1 else 1.0
    return [turn for start in starts for turn in ((start, partial(hit)), (start + each * on, partial(undo)))]
