"""What the processes of a run without Ray do: writers put, a node's sender sends, the receiver applies; a publisher
publishes versions beside the receiver, and each node follows them.

Between them and the receiver is a real socket; what a link does to a message is done to it in the asking process. The
clock that decides over waiting runs `SPEED` times as fast as the machine's, since `now` is an argument there.
"""

from __future__ import annotations

import mmap
import pickle
import random
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import tierflow
from tests.chaos.history import Applied, Followed, Kept, Left, Published, Refused, Tried, now, tell
from tests.chaos.plan import Put
from tierflow.control.outbox import (
    Cut,
    Failed,
    Healed,
    Look,
    Renew,
    RolledBack,
    Send,
    Sending,
    Settle,
    Taken,
    Waiting,
    step,
)
from tierflow.errors import OutboxFull, StoreError
from tierflow.runtime.durable.inbox import Answer, Batch, InboxStore
from tierflow.runtime.durable.outbox import OutboxStore
from tierflow.runtime.durable.versions import VersionStore

__all__ = [
    "BASE",
    "BOX",
    "MODEL",
    "Links",
    "Place",
    "drained",
    "follow",
    "opened",
    "publish",
    "read",
    "receive",
    "send",
    "watch",
    "write",
]

BOX, MODEL = "alarms", "model"
BASE = random.Random(0).randbytes(60_000)
"""What all versions have in common: more than a chunk."""
SPEED = 200.0
PATIENCE = 0.1
"""Seconds that a follower waits for an answer."""
_SIZE = struct.Struct("!I")
_IDLE = 0.002


class Links:
    """The state of each node's link and clock, in memory that all processes share."""

    FIELDS = ("cut", "silent", "known", "loss", "delay", "clock", "finish")

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = list(nodes)
        self._values = memoryview(mmap.mmap(-1, 8 * len(self.FIELDS) * len(nodes))).cast("d")

    def get(self, node: str, field: str) -> float:
        return self._values[self._at(node, field)]

    def set(self, node: str, field: str, value: float) -> None:
        self._values[self._at(node, field)] = value

    def _at(self, node: str, field: str) -> int:
        return self._nodes.index(node) * len(self.FIELDS) + self.FIELDS.index(field)


class Box(Protocol):
    """What records are put into."""

    def put(self, value: bytes, key: str, priority: int) -> int:
        """Keep a record."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process is.

    `outbox` and `inbox` are folders on its node's disk, `receiver` is the path of a socket, `told` the pipe to tell to.
    """

    node: str
    outbox: Path
    inbox: Path
    receiver: str
    links: Links
    told: int

    def store(self) -> OutboxStore:
        return OutboxStore(self.outbox, when_full="refuse")

    def versions(self) -> VersionStore:
        """What the node publishes, or what it follows."""
        return VersionStore(self.outbox.parent / MODEL)

    def now(self) -> float:
        """The clock of those who wait."""
        return now() * SPEED

    def clock(self) -> None:
        """Let this process's wall clock jump with its node's."""
        real, real_ns = time.time, time.time_ns
        time.time = lambda: real() + self.links.get(self.node, "clock")
        time.time_ns = lambda: real_ns() + int(self.links.get(self.node, "clock") * 1e9)


def write(place: Place, store: Box, name: str, puts: Sequence[Put], done: int, began: float) -> None:
    """Put what is left of a writer's records, each at its time."""
    place.clock()
    for number, put in enumerate(puts[done:], done):
        time.sleep(max(began + put.at - now(), 0))
        record = f"{name}/{number}"
        tell(place.told, Tried(now(), record, place.node, put.key, put.priority))
        try:
            store.put(record.encode().ljust(put.size, b"."), put.key, put.priority)
        except (OutboxFull, StoreError) as error:
            tell(place.told, Refused(now(), record, type(error).__name__))
        else:
            tell(place.told, Kept(now(), record))


def send(place: Place, seed: int) -> None:
    """Send what waits until nothing does and the run is to finish; then tell what is left."""
    place.clock()
    rng, store, state = random.Random(seed), opened(place.store), Sending()
    while True:
        state = _told_of_cuts(place, state)
        try:
            plan = store.plan()
            if not plan.rows and place.links.get(place.node, "finish"):
                break
            state, actions = step(state, Waiting(plan.rows), place.now())
            for action in actions:
                if isinstance(action, Send):
                    batch = Batch(place.node, plan.birth, plan.floor, plan.last, tuple(store.read(action.seqs)))
                    state = _sent(place, rng, store, state, batch, action.patience / SPEED)
        except StoreError:  # a full disk, say; what was sent and could not be settled is sent again
            state = replace(state, flight=())
        time.sleep(_IDLE)
    _left(place, store)


def _told_of_cuts(place: Place, state: Sending) -> Sending:
    known = bool(place.links.get(place.node, "known"))
    if known != state.cut:
        state, _ = step(state, Cut() if known else Healed(), place.now())
    return state


def _sent(
    place: Place, rng: random.Random, store: OutboxStore, state: Sending, batch: Batch, patience: float
) -> Sending:
    """The state after a batch was sent and the store did what follows of the answer."""
    try:
        answer: Answer = _deliver(place, rng, batch, patience)
    except OSError as error:
        late = isinstance(error, TimeoutError)
        return step(state, Failed(rng.random(), late), place.now())[0]
    state, actions = step(state, RolledBack() if answer.rolled_back else Taken(), place.now())
    for action in actions:
        match action:
            case Settle(seqs):
                store.settle(batch.birth, seqs)
            case Renew():
                store.renew()
            case Send() | Look():
                pass
    return state


def _deliver(place: Place, rng: random.Random, message: object, patience: float) -> Any:
    """What the receiver says. Raises `OSError` where the link, or the receiver's end, kept that from arriving."""
    get = place.links.get
    loss = get(place.node, "loss")
    if get(place.node, "cut") or rng.random() < loss:
        time.sleep(patience)
        raise TimeoutError
    time.sleep(get(place.node, "delay"))
    answer = _ask(place, message, patience)
    if rng.random() < loss:  # it came twice
        answer = _ask(place, message, patience)
    if get(place.node, "silent") or get(place.node, "cut") or rng.random() < loss:
        time.sleep(patience)
        raise TimeoutError
    return answer


def _ask(place: Place, message: object, patience: float) -> Any:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(patience)
        link.connect(place.receiver)
        link.sendall(_SIZE.pack(len(data := pickle.dumps(message))) + data)
        answer = pickle.loads(_whole(link))
    if isinstance(answer, StoreError):
        raise OSError(answer)
    return answer


def receive(place: Place) -> None:
    """Apply what comes, and hand out versions, until the end of the process."""
    place.clock()
    store, versions = opened(lambda: InboxStore(place.inbox)), opened(place.versions)
    Path(place.receiver).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place.receiver)
        listener.listen(64)
        while True:
            link, _ = listener.accept()
            with link, suppress(OSError):
                link.settimeout(1.0)
                message = pickle.loads(_whole(link))
                try:
                    answer = _answer(store, versions, message)
                except StoreError as error:
                    answer = error
                link.sendall(_SIZE.pack(len(data := pickle.dumps(answer))) + data)


def _answer(store: InboxStore, versions: VersionStore, message: object) -> object:
    """To a batch, to the version that a follower holds, or to the digests of chunks."""
    match message:
        case Batch():
            return store.take(message)
        case int(held):
            newest = versions.newest()
            return newest if newest is not None and newest.version > held else None
        case list(digests):
            return versions.chunks(digests)
    raise TypeError(message)


def publish(place: Place, times: Sequence[float], done: int, began: float) -> None:
    """Publish what is left of the versions, each at its time."""
    place.clock()
    store = opened(place.versions)
    for number, at in enumerate(times[done:], done):
        time.sleep(max(began + at - now(), 0))
        with suppress(StoreError):  # a full disk
            tell(place.told, Published(now(), MODEL, store.publish(BASE + bytes([number]) * 100).version))


def follow(place: Place, seed: int) -> None:
    """Fetch each newer version until there is none and the run is to finish; tell which is here."""
    rng, store, told = random.Random(seed), opened(place.versions), 0
    while True:
        newest = store.newest()
        if newest is not None and newest.version != told:
            told = newest.version
            tell(place.told, Followed(now(), place.node, MODEL, told))
        with suppress(OSError, StoreError):
            offered = _deliver(place, rng, store.floor(), PATIENCE)
            if offered is None and place.links.get(place.node, "finish"):
                return
            while offered is not None and (missing := [digest for digest, _ in store.missing(offered)]):
                parts = _deliver(place, rng, missing[:1], PATIENCE)
                if parts[0] is None or not store.add(missing[0], parts[0]):
                    break
            if offered is not None:
                store.take(offered)
        time.sleep(_IDLE)


def watch(place: Place) -> None:
    """Tell each version that a node of a fabric has, until it has the one with which the run is to finish."""
    model, told = opened(lambda: tierflow.follow(MODEL)), 0
    while True:
        version = model.version
        if version != told:
            told = version
            tell(place.told, Followed(now(), place.node, MODEL, told))
        if 0 < place.links.get(place.node, "finish") <= version:
            return
        time.sleep(0.02)


def drained(place: Place) -> None:
    """Wait until an outbox is empty, and tell what is left."""
    store = opened(place.store)
    while store.backlog().records:
        time.sleep(0.1)
    _left(place, store)


def read(place: Place, after: int = 0) -> None:
    """Tell all that was applied after a number, in order; it is forgotten then."""
    store = InboxStore(place.inbox)
    while records := store.read(after, 500):
        for record in records:
            value = record.value.rpartition(b"\n")[2]  # behind the line that says what kind of value it is
            tell(place.told, Applied(record.number, value.rstrip(b".").decode()))
        after = records[-1].number
    store.forget(after)


def _left(place: Place, store: OutboxStore) -> None:
    backlog = store.backlog()
    tell(place.told, Left(place.node, backlog.records, sum(backlog.dropped.values()), backlog.lost))


def _whole(link: socket.socket) -> bytes:
    (size,) = _SIZE.unpack(_exactly(link, _SIZE.size))
    return _exactly(link, size)


def _exactly(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def opened(make):  # type: ignore[no-untyped-def]
    """A store, once its disk lets it open."""
    while True:
        try:
            return make()
        except StoreError:
            time.sleep(0.01)
