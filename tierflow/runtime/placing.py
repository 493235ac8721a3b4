"""Choose nodes for the calls of one process, and learn from how they went. Knows nothing of Ray.

It holds what this process knows: conditions, profiles, which calls are on their way. What others saw comes in by
`learn`, what was seen here goes out by `news`. All of it is behind one lock, held for microseconds.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from uuid import uuid4

from tierflow.cost import IDLE, RAW, Call, Codec, Input, Profiles, Queue, Transfer, Variant, Watched
from tierflow.cost.attribution import Outcome, attribute
from tierflow.cost.codec import Crossing, best
from tierflow.cost.transfer import FIRST_WINDOW, INLINE, way
from tierflow.planning import Policy, Request
from tierflow.planning.account import Made, table_of
from tierflow.planning.choose import Choice
from tierflow.planning.decisions import Decisions
from tierflow.planning.explanation import Explanation
from tierflow.planning.recorder import Recorder
from tierflow.runtime.flight import Flight, Seen
from tierflow.runtime.latest import Latest
from tierflow.runtime.news import Sample, Sight, Update, profiled
from tierflow.runtime.news import seen as after
from tierflow.topology import Stay, Topology
from tierflow.topology.column import Value
from tierflow.topology.conditions import Conditions, LinkChange

__all__ = ["Placing"]

News = tuple[tuple[Sample, ...], tuple[Sight, ...], list[str]]
"""Times of functions, sights, and lines for the journal."""
REMEMBERED = 4096
"""Calls whose choice is kept for `explain`, and places of objects that are kept, each the latest."""
UNSENT = 2000
"""What was seen and could not be sent yet, at the most; the rest is dropped."""
TRIPS = 2
"""Messages there and back of a task in Ray: the lease of a worker, then the call itself."""
TASK_ID = 24
"""Bytes of the task's id at the start of the id of an object that it returns."""
NOTHING = 1e-9
"""Seconds of a fetch that nobody timed."""
TELL_EVERY = 0.02
"""Seconds between two calls to a node that tell of links and dispatch: to work that out takes .2 ms."""
OWN = 10.0
"""Seconds for which what this process saw of a link or a node goes before what others saw."""


class Placing:
    """The choices of one process, whose node is `caller`.

    `clock` is steady and `date` gives seconds since 1970, for what is told of a call.
    """

    def __init__(
        self,
        caller: str,
        conditions: Conditions,
        clock: Callable[[], float] = time.monotonic,
        date: Callable[[], float] = time.time,
    ) -> None:
        self.caller = caller
        self._conditions, self._clock, self._date = conditions, clock, date
        self._known, self._profiles, self._decisions = Watched(), Profiles(), Decisions()
        self._load: dict[str, Queue] = {}
        self._heavy = 0
        self._telling: dict[str, Flight] = {}
        self._flights = Latest[Flight](REMEMBERED)
        self._places = Latest[Input](REMEMBERED)
        self._actors = Latest[Made](REMEMBERED)
        self._samples: deque[Sample] = deque(maxlen=UNSENT)
        self._sights: deque[Sight] = deque(maxlen=UNSENT)
        self._fresh: dict[str, float] = {}
        self._held: dict[str, Value] = {}
        self._stayed: dict[str, bool] = {}
        self._packed: dict[str, tuple[Codec, ...]] = {}
        self._labelled: set[str] = set()
        self._told: dict[str, float] = {}
        self._recorder = Recorder(f"{caller}-{uuid4().hex[:12]}")
        self._cut: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    @property
    def conditions(self) -> Conditions:
        """What is known of nodes and links now."""
        return self._conditions

    def choose(
        self,
        variants: tuple[Variant, ...],
        request: Request,
        policy: Policy,
        inputs: tuple[Input, ...],
        refused: Mapping[str, Mapping[str, str]],
        *,
        whole: bool = False,
    ) -> tuple[Call, Choice]:
        """The node for a call.

        Args:
            variants: the functions that can do it, the work's own first.
            request: what the call asks of a node.
            policy: what it minimises and keeps.
            inputs: where they are and how large.
            refused: by function, the nodes that cannot run it and why; the same object while it says the same.
            whole: choose as if no node were cut off.

        Raises:
            NoPlacement: no node can keep what the policy asks.
        """
        packs = () if self._cut or not inputs else max(inputs, key=lambda item: item.size).packs
        call = Call(variants, self.caller, inputs, request.resources.get("CPU", 0.0), trips=TRIPS, codecs=(RAW, *packs))
        with self._lock:
            conditions = self._conditions.without(()) if whole else self._conditions
            # In a cut a node that has not run the function may have no way to get its code.
            choice = self._decisions.decide(
                call, policy, conditions, self._profiles, self._load, refused, request.asked, explores=not self._cut
            )
        return call, choice

    def reach(self, cut: Iterable[str]) -> None:
        """Take note of which nodes are cut off from here; from now on others are chosen."""
        with self._lock:
            self._cut = frozenset(cut)
            self._conditions = self._conditions.without(self._cut)

    def node_of(self, key: bytes) -> str | None:
        """The node that an actor was placed on, or that a call which is on its way was; None for what is not known."""
        actor, flight = self._actors.get(key), self._flights.get(key[:TASK_ID])
        if actor is not None:
            return actor.node
        return flight.choice.node if flight is not None and flight.ended is None else None

    def begin(
        self, key: bytes, title: str, call: Call, choice: Choice, weight: int, began: float, *, tells: bool = True,
        stay: Stay | None = None,
    ) -> Flight:  # fmt: skip
        """Count a call that was submitted, for `weight` calls, as on its way; `key` is the id of its result.

        `tells` is false where its time says nothing of links and dispatch: an input of it is not made yet, say. The
        result may not leave what `stay` says.
        """
        with self._lock:
            queue = self._load.get(choice.node, IDLE)
            alone = queue.calls < self._slots(call, choice.node)
            quiet = queue.calls == 0 and self._heavy == 0
            made = Made(key[:TASK_ID].hex(), title, self.caller, self._date(), choice.node, choice)
            flight = Flight(key, call, choice, made, began, weight, alone, tells and quiet)
            self._share_links(flight)
            result = self._profiles.of(choice.function).returns(call.size).value
            self._load[choice.node] = queue.joined(choice.compute, weight)
            self._heavy += call.size > INLINE
            self._flights.keep(key[:TASK_ID], flight)
            sure = stay is None and choice.function not in self._labelled and self.keeps(choice.node)
            self._places.keep(key, Input(choice.node, result, stay, packs=self._packs(choice) if sure else ()))
        return flight

    def live(self, key: bytes, title: str, choice: Choice) -> None:
        """Remember what an actor, whose id is `key`, was placed by; how its making goes is not watched."""
        with self._lock:
            made = Made(key.hex(), title, self.caller, self._date(), choice.node, choice)
            self._recorder.add(made, None, self._clock())
            self._actors.keep(key, made)

    def end(self, flight: Flight, seen: Seen | None, error: str = "") -> None:
        """Take note that a call has ended: how it went, or the error if it failed."""
        now = self._clock()
        with self._lock:
            node = flight.choice.node
            self._load[node] = self._load.get(node, IDLE).left(flight.choice.compute, flight.weight)
            self._heavy -= flight.call.size > INLINE
            if self._telling.get(node) is flight:
                del self._telling[node]
            flight.ended, flight.seen, flight.error = now, seen, error
            if seen is not None:
                self._stayed[node] = seen.node == node
            self._recorder.add(flight.made, flight.observed, now)
            if seen is None or seen.node not in self._conditions.fixed.nodes:
                if (place := self._places.get(flight.key)) is not None:
                    self._places[flight.key] = replace(place, packs=())
                return
            # What has a label is nowhere else, though a small one is in the caller's hands, sealed.
            at = self.caller if seen.result <= INLINE and seen.stay is None else seen.node
            self._packed[flight.choice.function] = seen.packs
            if seen.stay is not None:
                self._labelled.add(flight.choice.function)
            self._places.keep(flight.key, Input(at, seen.result, seen.stay, packs=self._packs(flight.choice)))
            if flight.tells and not seen.first and now - self._told.get(node, -OWN) >= TELL_EVERY:
                self._told[node] = now
                self._explain(flight, seen, now)
            if flight.alone or seen.node != node:
                self._profile(flight, seen)

    def fetched(self, key: bytes, began: float, ended: float) -> None:
        """Take note that the caller fetched the result of a call, between two times of its clock."""
        place, flight = self._places.get(key), self._flights.get(key[:TASK_ID])
        with self._lock:
            if flight is None or place is None or flight.ended is None or place.at == self.caller or flight.fetched:
                return
            start = max(began, flight.ended)
            flight.fetched = ended - start
            if began >= flight.ended:  # otherwise the fetch may have begun before anybody looked
                self._see(Transfer(place.at, self.caller, place.size, flight.fetched, ended), ended)

    def crossed(self, node: str, size: float, seconds: float, ended: float) -> None:
        """Take note that a value came here packed, as so many bytes in so many seconds."""
        with self._lock:
            if node in self._conditions.fixed.nodes:
                self._see(Transfer(node, self.caller, size, seconds, ended), ended)

    def looked(self, key: bytes) -> None:
        """Take note that the caller had a result sent in another way than `fetched`: its time is not known."""
        flight = self._flights.get(key[:TASK_ID])
        if flight is not None and flight.ended is not None and not flight.fetched:
            flight.fetched = NOTHING

    def keeps(self, node: str) -> bool:
        """Whether the last call that was placed on a node and has ended ran there.

        Where it did not, others hold the node's cores, and nobody here knows for how long.
        """
        return self._stayed.get(node, False)

    def place(
        self, key: bytes, node: str, size: float, packs: tuple[Codec, ...] = (), stay: Stay | None = None
    ) -> None:
        """Take note of where an object is stored, its bytes, what makes it smaller, and what it may not leave."""
        self._places.keep(key, Input(node, float(size), stay, stored=True, packs=packs))

    def packing(self, key: bytes) -> Codec:
        """The codec with which an object is here soonest; `RAW` where it is here, none helps, or somebody is cut off.

        What packs is handed out by the head, which may be the one that is cut off. What nothing was told of yet goes
        as it is too.
        """
        item = self._places.get(key)
        if item is None or not item.packs or item.at == self.caller or self._cut or self.awaits(key):
            return RAW
        conditions = self._conditions
        here, there = conditions.fixed.nodes[self.caller], conditions.fixed.nodes[item.at]
        path = way(conditions, self.caller, inward=True)
        trip = TRIPS * 2.0 * float(path.delay[there]) + float(conditions.dispatch.value[there])
        speeds = float(conditions.speed.value[there]), float(conditions.speed.value[here])
        return best(item.size, Crossing(float(path.rate[there]), *speeds, trip), item.packs)

    def follow(self, key: bytes, like: Input | None) -> None:
        """Take note of the result of a call that nobody looked at: it is like that of one before it."""
        if like is not None:
            self._places.keep(key, like)

    def known(self, key: bytes) -> Input | None:
        """Where an object is and how large, if that is known."""
        return self._places.get(key)

    def awaits(self, key: bytes) -> bool:
        """Whether an object is the result of a call of this process that has not ended."""
        flight = self._flights.get(key[:TASK_ID])
        return flight is not None and flight.ended is None

    def succeeded(self, key: bytes) -> float:
        """When a call of this process, by the id of its result, ended well, by its clock; infinity of all others."""
        flight = self._flights.get(key[:TASK_ID])
        return math.inf if flight is None or flight.seen is None or flight.ended is None else flight.ended

    def usual(self, key: bytes) -> float:
        """Seconds that were predicted for a call; infinity where its function was never seen to run twice."""
        flight = self._flights.get(key[:TASK_ID])
        if flight is None:
            return math.inf
        choice, profile = flight.choice, self._profiles.of(flight.choice.function)
        if not profile.kinds or profile.provisional:
            return math.inf
        return choice.ranking.alternative(choice.node, table_of(choice), choice.waited).time

    def explain(self, key: bytes) -> Explanation | None:
        """The explanation of the actor or of the call whose result has this id, if it is one of the latest."""
        actor, flight = self._actors.get(key), self._flights.get(key[:TASK_ID])
        if actor is not None:
            return Explanation.of(actor)
        return None if flight is None else Explanation.of(flight.made, flight.observed)

    def news(self) -> News:
        """What was seen since the last time: times of functions, sights, and lines for the journal."""
        with self._lock:
            news = tuple(self._samples), tuple(self._sights), self._recorder.take()
            self._samples.clear()
            self._sights.clear()
        return news

    def tell_again(self, news: News) -> None:
        """Take back news that did not arrive; the lines of the journal are given up."""
        with self._lock:
            self._samples.extendleft(reversed(news[0]))
            self._sights.extendleft(reversed(news[1]))

    def learn(self, update: Update) -> None:
        """Take in what others saw; what was seen here in the last seconds goes before it."""
        since = self._clock() - OWN
        with self._lock:
            own = {name for name, seen in self._fresh.items() if seen >= since}
            # What is told once is not told again: a rate waits until what was seen here of it is old.
            self._held |= {name: change.rate for name, change in update.links.items() if change.rate is not None}
            rates = {name: rate for name, rate in self._held.items() if name not in own}
            self._held = {name: rate for name, rate in self._held.items() if name in own}
            links = {name: replace(change, rate=rates.get(name)) for name, change in update.links.items()}
            links |= {name: LinkChange(rate=rate) for name, rate in rates.items() if name not in links}
            nodes = {
                name: replace(change, dispatch=None) if name in own else change for name, change in update.nodes.items()
            }
            if update.spec is not None:
                self._conditions = self._conditions.on(Topology.of(update.spec)).without(self._cut)
            self._conditions = self._conditions.changed(nodes, links)
            if update.profiles.functions:
                self._profiles = self._profiles.merged(update.profiles)

    def _slots(self, call: Call, node: str) -> float:
        """How many such calls a node runs at once, each on cores of its own."""
        fixed = self._conditions.fixed
        return max(float(fixed.cores[fixed.nodes[node]]) // max(call.cpus, 1.0), 1.0)

    def _packs(self, choice: Choice) -> tuple[Codec, ...]:
        """What makes a function's result smaller, as far as that may alter it: its next one is taken to be alike."""
        loss = choice.ranking.policy.lossy
        return tuple(codec for codec in self._packed.get(choice.function, ()) if codec.loss <= loss)

    def _share_links(self, flight: Flight) -> None:
        """Take note that from now on a call has its inputs sent: those under way may take longer for it."""
        node, size = flight.choice.node, flight.call.size
        nodes = list(self._telling) if size > INLINE else [node] if size > FIRST_WINDOW else []
        for other in nodes:
            if other in self._telling:
                self._telling.pop(other).tells = False
        if flight.tells:
            self._telling[node] = flight

    def _explain(self, flight: Flight, seen: Seen, now: float) -> None:
        outcome = Outcome(now - flight.began, seen.compute, float(seen.result), now)
        conditions = flight.choice.ranking.conditions
        found = attribute(flight.call, flight.choice.packing, seen.node, outcome, conditions)
        if found is not None:
            self._see(found, now)

    def _see(self, sight: Sight, now: float) -> None:
        before = self._known
        self._known, self._conditions = after(sight, before, self._conditions)
        self._sights.append(sight)
        for old, new in ((before.rates, self._known.rates), (before.dispatches, self._known.dispatches)):
            self._fresh.update({name: now for name, level in new.items() if level is not old.get(name)})

    def _profile(self, flight: Flight, seen: Seen) -> None:
        fixed, function = self._conditions.fixed, flight.choice.function
        at = fixed.nodes[seen.node]
        kind, speed = fixed.kinds[fixed.kind[at]], float(self._conditions.speed.value[at])
        # What others keep busy is taken into account when a time is predicted, so it must not be learned with the time.
        seconds = seen.compute * (1.0 - float(self._conditions.busy.value[at]))
        sample = Sample(function, kind, speed, seen.size, seconds, float(seen.result), seen.first)
        self._profiles = profiled(self._profiles, sample)
        self._samples.append(sample)
