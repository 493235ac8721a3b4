"""The watch: devices go on scoring by themselves for a while, and what they find goes through an outbox to the cloud.

Nobody drives them, so that a site whose uplink is cut goes on; each verdict is on the device's disk before it counts.
All that is told of the watch comes from the verdicts that arrived: when each was made, and when it was there.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

import tierflow
from jobs.anomaly.series import Floats

__all__ = ["Cut", "Verdict", "Watch", "keep_watch", "start"]

EVERY = 1.0
"""Seconds between two batches of a device."""
LATE = 4.0
"""A verdict that takes longer (s) to arrive was held up by a cut."""
PATIENCE = 300.0
"""Seconds that verdicts may take to arrive when the watch is over."""
LOOK = 0.5


@dataclass(frozen=True)
class Verdict:
    """A batch that was scored. ``made`` and ``arrived`` in seconds after the watch began, ``took`` in seconds.

    ``error`` is the name of what kept the edge from answering.
    """

    device: str
    site: str
    number: int
    made: float
    arrived: float
    took: float
    error: str


@dataclass(frozen=True)
class Cut:
    """A time in which verdicts of a site had to wait: how many were made, answered, and when the last was there.

    ``start``, ``end`` in seconds after the watch began; ``drained`` in seconds after the end; ``p99`` in seconds.
    """

    site: str
    start: float
    end: float
    made: int
    answered: int
    backlog: int
    drained: float
    p99: float


@dataclass(frozen=True)
class Watch:
    """A whole watch of ``seconds``; ``counted`` is how many verdicts each device made, by its own count."""

    seconds: float
    verdicts: tuple[Verdict, ...]
    counted: Mapping[str, int]

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites, by name."""
        return tuple(sorted({one.site for one in self.verdicts}))

    @property
    def lost(self) -> int:
        """Verdicts that were made and did not arrive."""
        return sum(self.counted.values()) - len({(one.device, one.number) for one in self.verdicts})

    @property
    def twice(self) -> int:
        """Verdicts that arrived more than once."""
        counts = Counter((one.device, one.number) for one in self.verdicts)
        return sum(count > 1 for count in counts.values())

    def of(self, site: str) -> list[Verdict]:
        """A site's verdicts, in the order in which they were made."""
        return sorted((one for one in self.verdicts if one.site == site), key=lambda one: one.made)

    def cuts(self, site: str) -> list[Cut]:
        """The cuts, as late verdicts show them."""
        groups: list[list[Verdict]] = []
        for one in self.of(site):
            if one.arrived - one.made <= LATE:
                continue
            if groups and one.made <= min(other.arrived for other in groups[-1]):
                groups[-1].append(one)
            else:
                groups.append([one])
        return [self._cut(site, group) for group in groups]

    def _cut(self, site: str, late: Sequence[Verdict]) -> Cut:
        start, end = late[0].made, min(one.arrived for one in late)
        held = [one for one in self.of(site) if start <= one.made < end]
        answered = [one.took for one in held if not one.error]
        waited = max(one.arrived for one in held) - end
        p99 = float(np.percentile(answered, 99)) if answered else 0.0
        return Cut(site, start, end, len(held), len(answered), int(self.backlog(site, np.array([end]))[0]), waited, p99)

    def p99(self, site: str) -> float:
        """The 99th percentile of the seconds that a batch took while nothing was cut; 0 where none was made."""
        cuts = self.cuts(site)
        free = [one.took for one in self.of(site) if not any(cut.start <= one.made < cut.end for cut in cuts)]
        return float(np.percentile(free, 99)) if free else 0.0

    def backlog(self, site: str, at: Floats) -> Floats:
        """How many verdicts had been made and had not arrived just before these times."""
        mine = self.of(site)
        made, arrived = (np.sort([getattr(one, name) for one in mine]) for name in ("made", "arrived"))
        return np.asarray(np.searchsorted(made, at) - np.searchsorted(arrived, at), dtype=np.float64)


def keep_watch(score: Callable[[int], Any], batches: int, box: str, device: str, site: str, seconds: float) -> None:
    """On a device: score batch after batch for so many seconds, aside, and put each verdict into the outbox."""
    threading.Thread(target=_watch, args=(score, batches, box, device, site, seconds), daemon=True).start()


def _watch(score: Callable[[int], Any], batches: int, box: str, device: str, site: str, seconds: float) -> None:
    verdicts = tierflow.Outbox(box)
    began, number = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        time.sleep(max(began + number * EVERY - time.monotonic(), 0.0))
        made, start, error = time.time(), time.perf_counter(), ""
        try:
            score(number % batches)
        except Exception as raised:  # the watch goes on, whatever keeps the edge from answering
            error = type(raised).__name__
        took = time.perf_counter() - start
        found = {"device": device, "site": site, "number": number, "made": made, "took": took, "error": error}
        verdicts.put(found, key=device)
        number += 1
    verdicts.put({"device": device, "counted": number}, key=device)


def start(devices: Mapping[str, tuple[Any, str]], seconds: float, tell: Callable[[float], None]) -> Watch:
    """Let the devices, {name: (actor, site)}, watch for so many seconds, and gather what they found.

    ``tell`` is called with the seconds gone by. Ctrl-C ends the waiting, not the watch.
    """
    box = f"verdicts-{uuid4().hex[:8]}"
    inbox = tierflow.Inbox(box)
    after = _met(inbox, devices, box)
    began, clock = time.time(), time.monotonic()
    tierflow.get([actor.watch.remote(box, site, seconds) for actor, site in devices.values()])
    verdicts: list[Verdict] = []
    counted: dict[str, int] = {}
    try:
        while len(counted) < len(devices) and (gone := time.monotonic() - clock) < seconds + PATIENCE:
            for record in inbox.read(after):
                after, value = record.number, record.value
                if "counted" in value:
                    counted[value["device"]] = value["counted"]
                else:
                    verdicts.append(_verdict(value, began, record.at))
            tell(min(gone, seconds))
            time.sleep(LOOK)
    except KeyboardInterrupt:
        pass
    for device in devices.keys() - counted.keys():  # not told to the end: what has arrived is what there is
        counted[device] = max((one.number + 1 for one in verdicts if one.device == device), default=0)
    return Watch(seconds, tuple(verdicts), counted)


def _met(inbox: tierflow.Inbox, devices: Mapping[str, tuple[Any, str]], box: str) -> int:
    """Wait until a first record of each device is there, so that senders have started; the last one's number."""
    tierflow.get([actor.greet.remote(box) for actor, _ in devices.values()])
    until = time.monotonic() + PATIENCE
    while len(met := inbox.read()) < len(devices) and time.monotonic() < until:
        time.sleep(LOOK)
    return len(met)


def _verdict(value: Mapping[str, Any], began: float, at: float) -> Verdict:
    made = value["made"] - began
    return Verdict(
        value["device"], value["site"], value["number"], made, max(at - began, made), value["took"], value["error"]
    )
