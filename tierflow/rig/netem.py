"""The kernel's emulator: nodes and sites as namespaces, a veth pair for each link, netem on each end that sends.

Packets find their way by routes, so this needs paths on which the next hop follows from the destination alone. What
`tun.TunLinks` does in a process, netem does in the kernel: same shapes, same limits, and jitter only ever adds.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tierflow.rig.namespaces import ETHERNET_HEADER, FOLDER, inside, netlink
from tierflow.rig.queueing import ROOT, Netem, put
from tierflow.rig.shaping import INFINITY, LineCounters, Shape, queue_limit

__all__ = ["NetemLinks", "available", "next_hops", "options", "wire"]

_HANDLES = 0x10000, 0x20000
"""Of the queue at a device, by turns: the kernel puts one of another handle in its place at once."""
_LOOPBACK = 1
_PACKET = 1000
"""Bytes of a typical packet: netem limits its queue by packets, and what is under way counts."""
_RATE_LIMIT = 0xFFFFFFFF
_LONGEST_QUEUE = 100_000


def available(namespace: str) -> bool:
    """Whether this kernel has netem: tried on the loopback of a namespace, and taken away again."""

    def attempt() -> bool:
        try:
            put(_LOOPBACK, _HANDLES[0], options(Shape(delay=1e-6)))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
                return False
            raise
        with netlink() as link:
            link.tc("del", index=_LOOPBACK, handle=_HANDLES[0], parent=ROOT)
        return True

    return inside(namespace, attempt)


def next_hops(config: Mapping[str, Any]) -> dict[tuple[str, str], int] | None:
    """The link that leads from each node or site to each node; None where it depends on where a packet comes from."""
    hops: dict[tuple[str, str], int] = {}
    for _, target, path in config["paths"]:
        for link in path:
            if hops.setdefault((config["links"][link]["source"], target), link) != link:
                return None
    return hops


def options(shape: Shape) -> Netem:
    """What netem is told for a shape.

    Always a rate: without one netem lets packets overtake each other where the delay varies.
    """
    limit, rate = _LONGEST_QUEUE, _RATE_LIMIT
    if shape.rate < _RATE_LIMIT:
        under_way = queue_limit(shape) + shape.rate * (shape.delay + shape.jitter)
        limit, rate = min(limit, max(64, round(under_way / _PACKET))), max(1, round(shape.rate))
    return Netem(
        delay=round((shape.delay + shape.jitter / 2) * 1e9),
        jitter=round(shape.jitter / 2 * 1e9),
        loss=shape.loss,
        limit=limit,
        rate=rate,
        overhead=-ETHERNET_HEADER,
    )


def wire(config: Mapping[str, Any], mtus: Mapping[str, Mapping[str, int]], largest: int) -> None:
    """Join the namespaces by veth pairs, one for the two directions of a link, and set the routes.

    `config["namespaces"]` names the namespace of every node and site; `mtus` is the largest packet from each node to
    each address.
    """
    hops = next_hops(config)
    assert hops is not None, "the rig asks before it chooses netem"
    address = {node["name"]: node["address"] for node in config["nodes"]}
    for vertex, namespace in config["namespaces"].items():
        inside(namespace, partial(_prepare, address.get(vertex)))
    for number, (a, b) in enumerate(_pairs(config)):
        inside(config["namespaces"][a], partial(_join, config, number, b, largest))
    for vertex, namespace in config["namespaces"].items():
        routes = {
            address[target]: (
                _device(config, link),
                _mac(config, link),
                mtus.get(vertex, {}).get(address[target], largest),
            )
            for (source, target), link in hops.items()
            if source == vertex
        }
        inside(namespace, partial(_route, routes, address.get(vertex)))


class NetemLinks:
    """The links of a rig as netem has them: what `emulator.Links` asks for. Nothing passes through this process."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._shapes = [Shape(**link["shape"]) for link in config["links"]]
        self._up = [True] * len(self._shapes)
        self._dropped = [0] * len(self._shapes)
        self._turn = [0] * len(self._shapes)
        for link, shape in enumerate(self._shapes):
            if not shape.transparent:
                self._tell(link, shape)

    def watch(self, clock: Callable[[], float]) -> dict[int, Callable[[], None]]:
        """Nothing to wait for."""
        return {}

    def next_event(self) -> float:
        """Nothing ever to do."""
        return INFINITY

    def run(self, now: float) -> None:
        """Do nothing: the kernel does."""

    def shape(self, link: int) -> Shape:
        """How link number `link` shapes packets when it is up."""
        return self._shapes[link]

    def is_up(self, link: int) -> bool:
        """Whether the link carries packets."""
        return self._up[link]

    def reshape(self, link: int, shape: Shape, now: float) -> None:
        """Shape packets so from now on."""
        self._shapes[link] = shape
        if self._up[link]:
            self._tell(link, shape)

    def cut(self, link: int, now: float) -> None:
        """Drop what is in the link and carry nothing."""
        if self._up[link]:
            self._dropped[link] += sum(self._drops(link))
            self._turn[link] ^= 1
            self._tell(link, Shape(loss=1.0))  # not even one packet passes between the two queues
            self._up[link] = False

    def heal(self, link: int) -> None:
        """Carry packets again."""
        if not self._up[link]:
            self._tell(link, self._shapes[link])
            self._up[link] = True

    def counters(self) -> list[LineCounters]:
        """What arrived at the far end of each link, and what its queue dropped; Ethernet headers are not counted."""
        rows = []
        for link, described in enumerate(self._config["links"]):
            count = inside(self._namespace(described["target"]), partial(self._received, link))
            dropped, _ = self._drops(link)
            rows.append(LineCounters(*count, self._dropped[link] + dropped))
        return rows

    def _namespace(self, vertex: str) -> str:
        name: str = self._config["namespaces"][vertex]
        return name

    def _tell(self, link: int, shape: Shape) -> None:
        """Shape packets so in the link's queue; it is made where there is none of its handle."""

        def tell() -> None:
            with netlink() as route:
                index = _index(route, self._config, link)
            put(index, _HANDLES[self._turn[link]], options(shape))

        inside(self._namespace(self._config["links"][link]["source"]), tell)

    def _drops(self, link: int) -> tuple[int, int]:
        """Packets that the link's queue dropped, and those in it."""

        def read() -> tuple[int, int]:
            with netlink() as route:
                queue = _netem(route, _index(route, self._config, link))
                stats = queue.get_attr("TCA_STATS2").get_attr("TCA_STATS_QUEUE") if queue is not None else None
                return (stats["drops"], stats["qlen"]) if stats else (0, 0)

        return inside(self._namespace(self._config["links"][link]["source"]), read)

    def _received(self, link: int) -> tuple[int, int]:
        with netlink() as route:
            (device,) = route.get_links(_index(route, self._config, link))
            stats = device.get_attr("IFLA_STATS64")
        packets = stats["rx_packets"]
        return stats["rx_bytes"] - ETHERNET_HEADER * packets, packets


def _netem(route: Any, index: int) -> Any:
    """The netem queue of a device, or None."""
    return next((q for q in route.get_qdiscs(index) if q.get_attr("TCA_KIND") == "netem"), None)


def _pairs(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs of nodes and sites with a link between them, each once, the lesser name first."""
    return list(dict.fromkeys(tuple(sorted((link["source"], link["target"]))) for link in config["links"]))


def _pair(config: Mapping[str, Any], link: int) -> int:
    ends = sorted((config["links"][link]["source"], config["links"][link]["target"]))
    return _pairs(config).index((ends[0], ends[1]))


def _device(config: Mapping[str, Any], link: int) -> str:
    """The name of a link's device, the same at both ends."""
    return f"link{_pair(config, link)}"


def _index(route: Any, config: Mapping[str, Any], link: int) -> int:
    (index,) = route.link_lookup(ifname=_device(config, link))
    return int(index)


def _end(pair: int, lesser: bool) -> str:
    """The hardware address at one end of a pair: fixed, so that nobody has to ask for it."""
    return f"02:77:{pair >> 8 & 255:02x}:{pair & 255:02x}:00:{1 if lesser else 2:02x}"


def _mac(config: Mapping[str, Any], link: int) -> str:
    """The hardware address at the far end of a link."""
    ends = config["links"][link]
    return _end(_pair(config, link), ends["target"] < ends["source"])


def _prepare(address: str | None) -> None:
    """Let a namespace pass packets on; give it its address on the loopback, if it is a node."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for scope in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{scope}/rp_filter").write_text("0")
    if address is not None:
        with netlink() as route:
            route.addr("add", index=_LOOPBACK, address=address, prefixlen=32)


def _join(config: Mapping[str, Any], number: int, b: str, mtu: int) -> None:
    """Make the pair in the namespace that this thread is in, and hand its other end to `b`."""
    name = f"link{number}"
    end = {"mtu": mtu, "gso_max_segs": 1}  # netem would take a bundle of segments for one packet
    with (FOLDER / config["namespaces"][b]).open() as other, netlink() as route:
        peer = {"ifname": name, "net_ns_fd": other.fileno(), "address": _end(number, lesser=False), **end}
        route.link("add", ifname=name, kind="veth", address=_end(number, lesser=True), peer=peer, **end)
        (index,) = route.link_lookup(ifname=name)
        route.link("set", index=index, state="up")
    inside(config["namespaces"][b], partial(_up, name))


def _up(name: str) -> None:
    with netlink() as route:
        (index,) = route.link_lookup(ifname=name)
        route.link("set", index=index, state="up")


def _route(routes: Mapping[str, tuple[str, str, int]], own: str | None) -> None:
    """A route and the next hop's hardware address for each destination."""
    with netlink() as route:
        for address, (device, mac, mtu) in routes.items():
            (index,) = route.link_lookup(ifname=device)
            source = {"prefsrc": own} if own else {}
            route.neigh("replace", dst=address, lladdr=mac, ifindex=index, state="permanent")
            route.route("add", dst=f"{address}/32", oif=index, scope="link", metrics={"mtu": mtu}, **source)
