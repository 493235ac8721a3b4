"""Keep one Ray node running: start it, watch it, start it again with back-off when it ends.

``python -m tierflow.runtime.supervise NODE.json`` does it for a node of ``tierflow up``; ``tierflow join`` does it in
the foreground, as a service manager wants it.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from tierflow.errors import FabricError
from tierflow.runtime.answering import answers
from tierflow.runtime.attending import attend
from tierflow.runtime.heartbeat import Heartbeat, heartbeat
from tierflow.runtime.node import NodeStart
from tierflow.runtime.residents import ISLAND_FILE, has_residents
from tierflow.runtime.settings import FABRIC, ISLAND, NODE_FOLDER, RIG
from tierflow.runtime.tcp import ADVICE, is_tuned, tune

__all__ = ["Supervisor", "backoff"]

STEADY = 60.0
"""A node that ran this long (s) starts again at the shortest delay."""

END_WITHIN = 5.0
"""How long (s) ``ray start`` may take to end by itself once its raylet has ended."""

STOP_WITHIN = 10.0
"""How long (s) processes that were killed are waited for."""

ISLAND_AFTER = 10.0
"""How long (s) the head may be away before a node with residents starts them without it: a head restarts in as long."""

LOOK_EVERY = 2.0
"""Seconds between two looks at whether the head answers, or the raylet still runs."""

KNOCK = 3.0
"""How long (s) the head may take to accept a connection."""

log = logging.getLogger("tierflow.node")


def backoff(first: float = 1.0, factor: float = 2.0, most: float = 30.0) -> Iterator[float]:
    """Delays (s) before each new start: ``first``, then ``factor`` times the last, ``most`` at the most."""
    delay = first
    while True:
        yield delay
        delay = min(delay * factor, most)


class Supervisor:
    """One Ray node that comes back until it is told to stop.

    `renew` is called before each life but the first: it makes sure that the node may still join, and raises if not.
    """

    def __init__(
        self, start: NodeStart, environment: dict[str, str], renew: Callable[[], object] = lambda: None
    ) -> None:
        self.start = start
        self.environment = environment
        self._renew = renew
        self.stopping = threading.Event()
        self.last_words: deque[str] = deque(maxlen=40)
        self._child: subprocess.Popen[str] | None = None
        self._family: _Family | None = None

    def run(self, *, first_must_succeed: bool) -> None:
        """Run until ``stop``; returns when the node has ended for good.

        Raises:
            FabricError: the token was refused, or ``first_must_succeed`` and the first start of a node without
                residents failed.
            TrustError: the node may not join any more.
        """
        if RIG in self.environment:  # the rig's hosts are ours to tune
            with suppress(OSError):
                tune()
        if not is_tuned():
            log.warning("after a cut it may be half a minute until calls go through; to mend that: %s", ADVICE)
        attend(self.environment, self.stopping)
        delays = backoff()
        # A node with residents has been a member: it starts after a loss of power, perhaps in a cut, and is to wait.
        first = first_must_succeed and not has_residents(Path(self.environment[NODE_FOLDER]))
        while not self.stopping.is_set():
            if not first:
                self._wait_for_head()
                if self.stopping.is_set():
                    return
            began = time.monotonic()
            joined = self._run_once(self.start, self.environment)
            if self.stopping.is_set():
                return
            if not joined:
                self._refuse_what_waiting_cannot_mend(first)
            first = False
            if time.monotonic() - began >= STEADY:
                delays = backoff()
            delay = next(delays)
            log.warning("the Ray node of %s ended; it joins again in %g s", self.start.name, delay)
            if not self.stopping.wait(delay):
                self._renew()

    def stop(self, *_: int | FrameType | None) -> None:
        """End the node and ``run``; may be called from a signal handler."""
        self.stopping.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()

    def _wait_for_head(self) -> None:
        """Return when the head answers. From `ISLAND_AFTER` on the node's residents live in an island until then."""
        folder = Path(self.environment[NODE_FOLDER])
        (folder / ISLAND_FILE).unlink(missing_ok=True)  # of a life that lost its power
        if self.start.is_head:
            return
        alone_at = time.monotonic() + ISLAND_AFTER
        while not self.stopping.is_set() and not answers(self.start.head, KNOCK):
            if time.monotonic() < alone_at or not has_residents(folder):
                self.stopping.wait(LOOK_EVERY)
                continue
            log.warning("%s cannot reach the head at %s; it goes on alone", self.start.name, self.start.head)
            over = threading.Event()
            threading.Thread(target=self._end_island, args=(over,), name="tierflow-heal", daemon=True).start()
            self._run_once(self.start.island(), self.environment | {ISLAND: "1"})
            over.set()
            (folder / ISLAND_FILE).unlink(missing_ok=True)
            self.stopping.wait(LOOK_EVERY)

    def _end_island(self, over: threading.Event) -> None:
        """End the island when the head answers again, unless it is over by itself.

        At once, as a loss of power would: Ray takes half a minute to end in order, which the fabric would wait for.
        """
        while not answers(self.start.head, KNOCK):
            if over.wait(LOOK_EVERY):
                return
        log.info("the head at %s answers again", self.start.head)
        if self._family is not None and not over.is_set():
            self._family.note()
            self._family.end()

    def _run_once(self, start: NodeStart, environment: dict[str, str]) -> bool:
        """One life of the node, or of its island; true if its Ray came up."""
        joined = False
        beats: Heartbeat | None = None
        if start.is_head:
            start.forget_head()
        Path(start.folder or "/tmp").mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(
            start.argv(),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        ) as self._child:
            if self.stopping.is_set():
                self._child.terminate()
            family = self._family = _Family(self._child.pid)
            assert self._child.stdout is not None
            for line in self._child.stdout:
                self.last_words.append(line.rstrip())
                log.debug("%s", line.rstrip())
                if not joined and "Ray runtime started" in line:
                    joined = True
                    log.info("%s joined the fabric at %s", start.name, start.head)
                    family.note()
                    if ISLAND not in environment:
                        beats = heartbeat(start, environment)
                    threading.Thread(target=self._end_with_raylet, args=(self._child, family), daemon=True).start()
                    self._go_on(start, environment)
        if beats is not None:
            beats.stop()
        family.end()
        return joined

    def _end_with_raylet(self, child: subprocess.Popen[str], family: _Family) -> None:
        """End ``ray start`` once its raylet has ended: it stays where the head told the raylet to end.

        It is killed, with what it started: told to terminate, it waits half a minute for a head that may be away, and
        for good where it was ending by itself.
        """
        while child.poll() is None and family.has_raylet():
            time.sleep(LOOK_EVERY)
        with suppress(subprocess.TimeoutExpired):
            child.wait(END_WITHIN)
            return
        family.note()
        family.end()

    def _go_on(self, start: NodeStart, environment: dict[str, str]) -> None:
        """Start what belongs on a node that is up, beside this process: it takes seconds, and Ray's output is read."""
        if ISLAND in environment:
            program = "from tierflow.runtime.island import settle; settle()"
        elif start.is_head:
            program = "from tierflow.runtime.registry import start; start()"
        elif has_residents(Path(environment[NODE_FOLDER])):
            program = "from tierflow.runtime.island import compare; compare()"
        else:
            return
        threading.Thread(
            target=subprocess.run,
            args=([sys.executable, "-c", program],),
            kwargs={"env": environment | {"RAY_ADDRESS": start.head}},
            daemon=True,
        ).start()

    def _refuse_what_waiting_cannot_mend(self, first: bool) -> None:
        said = "\n".join(self.last_words)
        if "authentication token" in said.lower() or "unauthenticated" in said.lower():
            raise FabricError(
                f"the head at {self.start.head} refused the token of {self.start.name}",
                "join with a new token: `tierflow token make` on the head as it runs now",
            )
        if first:
            reason = next((line for line in reversed(self.last_words) if line.strip()), "it printed nothing")
            raise FabricError(
                f"the Ray node of {self.start.name} did not start: {reason.strip()}",
                f"see that the head answers at {self.start.head} and that no other node holds this address's ports",
            )


class _Family:
    """A process and what it started: what is left of it is ended when the process has ended."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._members = {self._root}

    def note(self) -> None:
        try:
            self._members.update(self._root.children(recursive=True))
        except psutil.NoSuchProcess:
            return

    def has_raylet(self) -> bool:
        """Whether the raylet among what was noted runs."""
        return any(member.is_running() and _name(member) == "raylet" for member in self._members)

    def end(self) -> None:
        """Ray has had its time to end them; what is left would be in the way of the next life."""
        for member in self._members:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(self._members - {self._root}, timeout=STOP_WITHIN)


def _name(process: psutil.Process) -> str:
    """The name of a process; empty where it has ended."""
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.name()
    except psutil.NoSuchProcess:
        return ""


def main() -> None:
    """Supervise the node whose file is the first argument, with this process's environment."""
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    start = NodeStart.read(Path(sys.argv[1]))
    supervisor = Supervisor(start, dict(os.environ))
    if start.is_head:
        from tierflow.runtime.door import Door  # here, so that the other nodes' supervisors stay small

        Door(Path(os.environ[FABRIC]), start.head).start()
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGINT, supervisor.stop)
    try:
        supervisor.run(first_must_succeed=False)
    except FabricError as error:
        log.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
