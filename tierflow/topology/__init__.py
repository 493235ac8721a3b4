"""What the cluster is: the cluster file, its nodes and links, and the paths between them.

`load` reads a file into a `ClusterSpec`; `Topology.of` makes the graph of it; `describe` says what it means. A
`Member` is a node as the running fabric sees it, an `Envelope` what is said of a value on its way through it.

`topology.column`, `topology.routes` and `topology.conditions` (the arrays of what is declared and measured) are
imported by their own names: they need numpy, which `import tierflow` does not load.
"""

from __future__ import annotations

from tierflow.topology.describe import Description, Route, describe
from tierflow.topology.dump import dump
from tierflow.topology.envelope import Envelope, Source
from tierflow.topology.graph import Topology
from tierflow.topology.link import Link, LinkSpec, Radio, ReverseSpec
from tierflow.topology.load import load, parse
from tierflow.topology.member import Member
from tierflow.topology.node import NODE, SITE, TIER, GatewaySpec, NodeSpec, PowerSpec
from tierflow.topology.policy import METRICS, Metric, OnCut, PolicySpec, Stay, scope_of, strictest
from tierflow.topology.spec import ClusterSpec

__all__ = [
    "METRICS",
    "NODE",
    "SITE",
    "TIER",
    "ClusterSpec",
    "Description",
    "Envelope",
    "GatewaySpec",
    "Link",
    "LinkSpec",
    "Member",
    "Metric",
    "NodeSpec",
    "OnCut",
    "PolicySpec",
    "PowerSpec",
    "Radio",
    "ReverseSpec",
    "Route",
    "Source",
    "Stay",
    "Topology",
    "describe",
    "dump",
    "load",
    "parse",
    "scope_of",
    "strictest",
]
