"""Who can be reached now, as one node sees it: heard within seconds, settled by gossip, the same on each side of a cut.

Each node keeps a report: whom it hears. A report has one author and a version, so of two the newer wins anywhere. The
nodes that this one reaches and that reach it, by all reports, are up; all others are cut. So a link that carries one
way only is cut on both sides, and after a heal both sides hold the same reports and the same view.

A beat carries a digest of the reports that its sender has; where it differs, reports follow. What somebody no longer
hears counts as heard for `SETTLE` more, in which the node asks around: so one that went silent takes nobody with it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias, assert_never

from tierflow.control.reach import Peer, expected, reachable, targets

__all__ = [
    "PERIOD",
    "Heard",
    "Liveness",
    "Message",
    "Peer",
    "Publish",
    "Report",
    "Send",
    "Tick",
    "View",
    "begun",
    "step",
]

PERIOD = 1.0
"""Seconds between two beats."""
SILENT = 2.2
"""Seconds without a beat after which a node is not heard: one may be lost, and the next be late."""
SETTLE = 0.3
"""Seconds that what was heard until now still counts, in which others are asked and tell what they hear."""
AGAIN = 0.12
"""Seconds after which one who was asked and said nothing is asked again."""
PUSH = 0.5
"""Seconds between two times that all reports are sent to the same node."""


@dataclass(frozen=True, slots=True)
class Report:
    """Whom a node hears. `life` rises when the node starts anew, `number` when it hears others than before."""

    peer: Peer
    life: int
    number: int
    hears: frozenset[str] = frozenset()

    @property
    def version(self) -> tuple[int, int]:
        """Of two reports of a node the one with the higher version holds."""
        return self.life, self.number


@dataclass(frozen=True, slots=True)
class Message:
    """What nodes say: the digest of the sender's reports, whether it asks for an answer, and what it tells besides.

    What is no `beat` only tells: it comes when something has changed, so that nobody can rely on hearing it.
    """

    digest: int
    asks: bool = False
    reports: tuple[Report, ...] = ()
    beat: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """Which of the nodes are cut off from this one, and since when (seconds); `version` rises with each change."""

    version: int
    peers: Mapping[str, Peer]
    cut: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Heard:
    """A message came from an address."""

    address: str
    message: Message


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; due at `Liveness.wakes`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to an address."""

    address: str
    message: Message


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the processes of this node of a view."""

    view: View


Event: TypeAlias = Heard | Tick
Action: TypeAlias = Send | Publish


@dataclass(frozen=True)
class Liveness:
    """What a node knows. Made by `begun`, changed by `step`.

    `head` is the address of the fabric's head, which is tried until somebody is known there, and whose site is the
    hub. `heard` is when each was heard last, `fading` until when a pair (sender, hearer) that is gone still counts,
    `doubt` until when others are asked, at the sites `asked`, and `ask` when next; `pushed` when all reports were sent
    to an address.
    """

    me: str
    head: str
    reports: Mapping[str, Report]
    view: View
    due: float
    heard: Mapping[str, float] = field(default_factory=dict)
    fading: Mapping[tuple[str, str], float] = field(default_factory=dict)
    doubt: float = 0.0
    ask: float = 0.0
    asked: frozenset[str] = frozenset()
    pushed: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def peers(self) -> Mapping[str, Peer]:
        """Every node that there is a report of."""
        return {name: report.peer for name, report in self.reports.items()}

    @cached_property
    def hub(self) -> str:
        """The head's site; empty where the head is not known yet."""
        return next((peer.site for peer in self.peers.values() if peer.address == self.head), "")

    @cached_property
    def digest(self) -> int:
        """24 bits that differ where the reports do."""
        rows = sorted((name, *report.version) for name, report in self.reports.items())
        return zlib.crc32(repr(rows).encode()) & 0xFFFFFF

    @property
    def own(self) -> Report:
        """This node's report."""
        return self.reports[self.me]

    @property
    def wakes(self) -> float:
        """When the next `Tick` is due."""
        silent = (self.heard[name] + SILENT for name in self.own.hears)
        asks = [self.ask] if self.ask < self.doubt else []
        return min([self.due, *silent, *self.fading.values(), *asks])


def begun(me: Peer, life: int, head: str, now: float, known: Iterable[Report] = ()) -> Liveness:
    """The state of a node that starts: `life` is above that of any earlier start, `known` are reports kept from then.

    What was known is taken to be there until it has had time to be heard.
    """
    state = Liveness(me.name, head, {me.name: Report(me, life, 0)}, View(0, {me.name: me}, {}), now)
    state, _ = _merged(state, [report for report in known if report.peer.name != me.name], now)
    return state


def step(state: Liveness, event: Event, now: float) -> tuple[Liveness, tuple[Action, ...]]:
    """What the node knows after an event at `now` (seconds of its own steady clock), and what it does."""
    actions: list[Action] = []
    answer: tuple[str, ...] = ()
    match event:
        case Heard():
            state = _hear(state, event.address, event.message, now, actions)
            answer = (event.address,) if event.message.asks else ()
        case Tick():
            pass
        case _:
            assert_never(event)
    state = _listen(state, now, actions)
    actions.extend(Send(address, Message(state.digest, reports=(state.own,))) for address in answer)
    state = _look(state, now, actions)
    if now >= state.due:
        _beat(state, actions)
        state = replace(state, due=now + PERIOD)
    return state, tuple(actions)


def _hear(state: Liveness, address: str, message: Message, now: float, actions: list[Action]) -> Liveness:
    state, newer = _merged(state, message.reports, now)
    sender = next((peer for peer in state.peers.values() if peer.address == address), None)
    if sender is not None and sender.name != state.me:
        if message.beat:
            state = replace(state, heard={**state.heard, sender.name: now})
        _pass_on(state, sender, newer, actions)
    if message.digest != state.digest and now >= state.pushed.get(address, -PUSH) + PUSH:
        state = replace(state, pushed={**state.pushed, address: now})
        actions.append(Send(address, Message(state.digest, reports=tuple(state.reports.values()), beat=False)))
    return state


def _merged(state: Liveness, reports: Iterable[Report], now: float) -> tuple[Liveness, tuple[Report, ...]]:
    """The state with the reports that are newer than those it has, and these."""
    newer: dict[str, Report] = {}
    fading = dict(state.fading)
    shaken: set[str] = set()
    for report in reports:
        name = report.peer.name
        known = newer.get(name) or state.reports.get(name)
        if known is not None and report.version <= known.version:
            continue
        if name == state.me:  # of an earlier life, which somebody remembers better than this node
            report = replace(state.own, life=report.life + 1, number=0)
        elif known is None:  # it has this long to be heard
            fading |= {(name, state.me): now + SILENT, (state.me, name): now + SILENT}
        else:
            gone = known.hears - report.hears
            fading |= {(other, name): now + SETTLE for other in gone}
            if name in state.own.hears and gone & expected(name, state.peers, state.view.cut, state.hub):
                shaken.add(known.peer.site)  # perhaps nobody reaches it any more, and nobody this node through it
        newer[name] = report
    if not newer:
        return state, ()
    state = replace(state, reports={**state.reports, **newer}, fading=fading)
    return _doubting(state, shaken, now), tuple(newer.values())


def _doubting(state: Liveness, sites: set[str], now: float) -> Liveness:
    """The state that asks around in its own site and in these, if there are any."""
    if not sites:
        return state
    asked = {state.own.peer.site, *sites, *(state.asked if now < state.doubt else ())}
    return replace(state, doubt=now + SETTLE, ask=now, asked=frozenset(asked))


def _pass_on(state: Liveness, sender: Peer, newer: tuple[Report, ...], actions: list[Action]) -> None:
    """The speaker of a site tells the other sites what is new in its own, and its own what is new in others."""
    mine = state.peers[state.me].site
    spoken = targets(state.me, state.peers, state.view.cut, state.hub) | state.own.hears
    beyond = spoken - _site(state, mine)
    if not newer or not beyond:  # only who speaks for its site has to do with others
        return
    told = {name for name in beyond if state.peers[name].site != sender.site and mine in (sender.site, state.hub)}
    told |= _site(state, mine) - state.view.cut.keys() if sender.site != mine else set()
    message = Message(state.digest, reports=newer, beat=False)
    actions.extend(Send(state.peers[name].address, message) for name in sorted(told - {state.me}))


def _listen(state: Liveness, now: float, actions: list[Action]) -> Liveness:
    """Report anew if this node hears others than it did, and ask around where one went silent that it relies on."""
    hears = frozenset(name for name, at in state.heard.items() if now < at + SILENT and name in state.reports)
    gone = state.own.hears - hears
    if hears != state.own.hears:
        own = replace(state.own, number=state.own.number + 1, hears=hears)
        fading = {**state.fading, **{(name, state.me): now + SETTLE for name in gone}}
        relied = gone & expected(state.me, state.peers, state.view.cut, state.hub)
        state = replace(state, reports={**state.reports, state.me: own}, fading=fading)
        state = _doubting(state, {state.peers[name].site for name in relied}, now)
        near = _site(state, own.peer.site) - state.view.cut.keys()
        told = near | hears | targets(state.me, state.peers, state.view.cut, state.hub)
        message = Message(state.digest, reports=(own,), beat=False)
        actions.extend(Send(state.peers[name].address, message) for name in sorted(told - {state.me}))
    if state.ask <= now < state.doubt:
        asked = set().union(*(_site(state, site) for site in state.asked)) - hears - {state.me}
        actions.extend(Send(state.peers[name].address, Message(state.digest, asks=True)) for name in sorted(asked))
        state = replace(state, ask=now + AGAIN)
    return state


def _look(state: Liveness, now: float, actions: list[Action]) -> Liveness:
    """Find out who is cut, and publish it if that has changed."""
    fading = {pair: until for pair, until in state.fading.items() if now < until}
    heard = {(name, report.peer.name) for report in state.reports.values() for name in report.hears} | fading.keys()
    reached = reachable(state.me, heard, state.peers, state.hub)
    old = state.view
    cut = {name: old.cut.get(name, now) for name in state.peers if name not in reached}
    state = replace(state, fading=fading)
    if cut == old.cut and state.peers == old.peers:
        return state
    view = View(old.version + 1, state.peers, cut)
    actions.append(Publish(view))
    return replace(state, view=view, due=now)  # whom it beats to has changed with it


def _beat(state: Liveness, actions: list[Action]) -> None:
    """Beat; what is cut is asked to answer, and told how this site hears, since it may hear what is not heard of it."""
    known = {peer.address for peer in state.peers.values()}
    if state.head not in known:
        actions.append(Send(state.head, Message(state.digest, asks=True, reports=(state.own,))))
    near = tuple(report for report in state.reports.values() if report.peer.site == state.own.peer.site)
    for name in sorted(targets(state.me, state.peers, state.view.cut, state.hub)):
        message = Message(state.digest, True, near) if name in state.view.cut else Message(state.digest)
        actions.append(Send(state.peers[name].address, message))


def _site(state: Liveness, site: str) -> set[str]:
    return {name for name, peer in state.peers.items() if peer.site == site}
