"""What the processes of a run without Ray do: writers put, a node's sender sends, the receiver applies.

Between sender and receiver is a real socket. Without a rig, what a link does to a message is done to it in the sender's
process. The clock that decides over waiting runs `speed` times as fast as the machine's, since `now` is an argument.
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

from tests.chaos.history import Applied, Kept, Left, Refused, Tried, now, tell
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

__all__ = ["BOX", "Links", "Place", "read", "receive", "send", "write"]

BOX = "alarms"
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process is.

    `folder` is its node's, on its disk; `receiver` the path of a socket, or an address and a port ("10.77.0.1:7000");
    `told` the pipe that it tells to, and `speed` that of the clock.
    """

    node: str
    folder: Path
    receiver: str
    links: Links
    told: int
    speed: float = 200.0
    limit: int = 64_000_000
    when_full: str = "refuse"

    def outbox(self) -> OutboxStore:
        return OutboxStore(self.folder / BOX, self.limit, self.when_full)  # type: ignore[arg-type]

    def now(self) -> float:
        """The clock of those who wait."""
        return now() * self.speed

    def socket(self) -> tuple[socket.socket, str | tuple[str, int]]:
        """A new socket, and the receiver's address."""
        host, colon, port = self.receiver.rpartition(":")
        return (socket.socket(), (host, int(port))) if colon else (socket.socket(socket.AF_UNIX), self.receiver)

    def clock(self) -> None:
        """Let this process's wall clock jump with its node's."""
        real, real_ns = time.time, time.time_ns
        time.time = lambda: real() + self.links.get(self.node, "clock")
        time.time_ns = lambda: real_ns() + int(self.links.get(self.node, "clock") * 1e9)


def write(place: Place, name: str, puts: Sequence[Put], done: int, began: float) -> None:
    """Put what is left of a writer's records, each at its time."""
    place.clock()
    store = _opened(place.outbox)
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
    rng, store, state = random.Random(seed), _opened(place.outbox), Sending()
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
                    state = _sent(place, rng, store, state, batch, action.patience / place.speed)
        except StoreError:  # a full disk, say; what was sent and could not be settled is sent again
            state = replace(state, flight=())
        time.sleep(_IDLE)
    backlog = store.backlog()
    tell(place.told, Left(place.node, backlog.records, sum(backlog.dropped.values()), backlog.lost))


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
        answer = _deliver(place, rng, batch, patience)
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


def _deliver(place: Place, rng: random.Random, batch: Batch, patience: float) -> Answer:
    """What the receiver says. Raises `OSError` where the link, or the receiver's end, kept that from arriving."""
    get = place.links.get
    loss = get(place.node, "loss")
    if get(place.node, "cut") or rng.random() < loss:
        time.sleep(patience)
        raise TimeoutError
    time.sleep(get(place.node, "delay"))
    answer = _ask(place, batch, patience)
    if rng.random() < loss:  # it came twice
        answer = _ask(place, batch, patience)
    if get(place.node, "silent") or get(place.node, "cut") or rng.random() < loss:
        time.sleep(patience)
        raise TimeoutError
    return answer


def _ask(place: Place, batch: Batch, patience: float) -> Answer:
    link, address = place.socket()
    with link:
        link.settimeout(patience)
        link.connect(address)
        link.sendall(_SIZE.pack(len(data := pickle.dumps(batch))) + data)
        answer = pickle.loads(_whole(link))
    if not isinstance(answer, Answer):
        raise OSError(answer)
    return answer


def receive(place: Place) -> None:
    """Apply what comes, until the end of the process."""
    place.clock()
    store = _opened(lambda: InboxStore(place.folder / BOX))
    listener, address = place.socket()
    with listener:
        if isinstance(address, str):
            Path(address).unlink(missing_ok=True)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
        while True:
            link, _ = listener.accept()
            with link, suppress(OSError):
                link.settimeout(1.0)
                batch = pickle.loads(_whole(link))
                try:
                    answer: object = store.take(batch)
                except StoreError as error:
                    answer = str(error)
                link.sendall(_SIZE.pack(len(data := pickle.dumps(answer))) + data)


def read(place: Place) -> None:
    """Tell all that was applied, in order."""
    store = InboxStore(place.folder / BOX)
    after = 0
    while records := store.read(after, 500):
        for record in records:
            tell(place.told, Applied(record.number, record.value.rstrip(b".").decode()))
        after = records[-1].number


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


def _opened(make):  # type: ignore[no-untyped-def]
    """A store, once its disk lets it open."""
    while True:
        try:
            return make()
        except StoreError:
            time.sleep(0.01)
