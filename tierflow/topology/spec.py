"""The cluster file as a value."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tierflow.topology.link import LinkSpec
from tierflow.topology.node import NodeSpec
from tierflow.topology.policy import PolicySpec
from tierflow.topology.quantities import Name
from tierflow.topology.rules import Parts, first_fault

__all__ = ["BROKEN_RULE", "ClusterSpec"]

BROKEN_RULE = "broken_rule"
"""The pydantic error type of a rule between the parts of a file; its context holds the `Fault`."""


class ClusterSpec(BaseModel):
    """A cluster: its tiers, its sites, its nodes and the links between them.

    `tiers` are ordered, nearest the data first; the head runs on a node of the last one. `hosts` says what the nodes
    are: "rig", hosts on this machine with shaped links; "local", Ray nodes on this machine's own network, without
    privilege and without shaping; "machines", real ones. `sites` may be left out: then they are those of the nodes.
    A site that only joins others has to be listed. `policy` holds where neither a call nor its function says it.
    `tls` says whether Ray's traffic between nodes is encrypted; left out, it is between real machines.
    Raises `pydantic.ValidationError`; `load` turns it into a sentence.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Name
    tiers: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)] = ("device", "edge", "cloud")
    hosts: Literal["rig", "local", "machines"]
    sites: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    nodes: Annotated[tuple[NodeSpec, ...], Field(strict=False, min_length=1)]
    links: Annotated[tuple[LinkSpec, ...], Field(strict=False)] = ()
    policy: PolicySpec | None = None
    tls: bool | None = None

    @property
    def encrypted(self) -> bool:
        """Whether Ray's traffic between nodes is encrypted."""
        return self.hosts == "machines" if self.tls is None else self.tls

    @property
    def head(self) -> NodeSpec:
        """The node that keeps the cluster's state: the marked one, otherwise the first of the last tier."""
        last = [node for node in self.nodes if node.tier == self.tiers[-1]]
        return next((node for node in last if node.head), last[0])

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        fault = first_fault(Parts(self.tiers, self.hosts, self.sites, self.nodes, self.links, self.policy))
        if fault is not None:
            raise PydanticCustomError(
                BROKEN_RULE, "{problem}; {mend}", {"loc": fault.loc, "problem": fault.problem, "mend": fault.mend}
            )
        return self
