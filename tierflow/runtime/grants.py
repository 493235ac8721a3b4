"""What the head has granted: the join tokens that it made, the nodes that it admitted, the members that it refused.

Three small files of JSON in the fabric's state. The command line writes the first, the launcher and the door the
second, the registry the third; each is written whole.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tierflow.errors import TrustError
from tierflow.runtime.cache import write_whole
from tierflow.runtime.keys import Keys
from tierflow.topology import ClusterSpec
from tierflow.trust import NAME, Admission, Claim, Grant, JoinToken, settled

__all__ = ["Grants", "Refused"]

REMEMBERED = 100
"""Members that were refused and are told of, the latest."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A member that was not what it had been given; `at` in seconds since 1970, `ray_id` is of the node's Ray."""

    name: str
    tier: str
    site: str
    address: str
    why: str
    at: float
    ray_id: str


@dataclass(frozen=True, slots=True)
class Grants:
    """The grants of the fabric whose state is in the folder `state`."""

    state: Path

    def made(self) -> dict[str, Grant]:
        """Every grant, by its id."""
        return {row["id"]: Grant(**row) for row in self._read("grants.json", [])}

    def admitted(self) -> dict[str, Admission]:
        """Every node that was admitted, by name."""
        return {name: Admission(**row) for name, row in self._read("admitted.json", {}).items()}

    def refused(self) -> tuple[Refused, ...]:
        """The members that were refused, oldest first."""
        return tuple(Refused(**row) for row in self._read("refused.json", []))

    def make(self, spec: ClusterSpec, door: str, place: tuple[str, str], name: str, lasts: float) -> str:
        """A new join token for a place (tier and site), good for `lasts` seconds.

        Args:
            spec: the cluster.
            door: ``address:port`` of the door.
            place: tier and site.
            name: the node's name; empty: any name that is free.
            lasts: seconds until it expires.

        Raises:
            TrustError: the cluster has no such tier or has that node elsewhere, or one of these is no name or time.
        """
        tier, site = place
        if tier not in spec.tiers:
            raise TrustError(
                f"the fabric {spec.name!r} has no tier {tier!r}", f"give one of {', '.join(spec.tiers)} with --tier"
            )
        for what, given in (("site", site), ("node", name)):
            if given and not NAME.fullmatch(given):
                raise TrustError(f"{given!r} is no name of a {what}", "use 1 to 24 of a-z, 0-9 and '-'")
        for node in spec.nodes:
            if node.name == name and (node.tier, node.site) != place:
                raise TrustError(
                    f"{name} is of tier {node.tier} at site {node.site} in the cluster file",
                    f"give --tier {node.tier} --site {node.site}, or another name",
                )
        if lasts <= 0:
            raise TrustError("a join token that has expired lets nobody in", "give a longer time with --expires")
        now, keys = time.time(), Keys(self.state)
        grant = Grant(secrets.token_hex(6), tier, site, name, now + lasts, now)
        with self._alone():
            self._write("grants.json", [asdict(known) for known in (*self.made().values(), grant)])
        return JoinToken(grant.id, spec.name, tier, site, name, grant.expires, door, keys.pin).sealed(keys.secret)

    def revoke(self, grant: str) -> tuple[str, ...]:
        """Let nobody in by a grant any more; the names of the nodes that came by it, which the registry will drain.

        Raises:
            TrustError: there is no such grant.
        """
        with self._alone():
            made = self.made()
            if grant not in made:
                raise TrustError(f"there is no join token {grant!r}", "see `tierflow token list`")
            if not made[grant].revoked:
                made[grant] = replace(made[grant], revoked=time.time())
                self._write("grants.json", [asdict(known) for known in made.values()])
        return tuple(sorted(name for name, was in self.admitted().items() if was.grant == grant))

    def admit(self, claims: Sequence[tuple[Claim, str]]) -> None:
        """Take note of nodes that were admitted, each with its grant."""
        with self._alone():
            admitted: Mapping[str, Admission] = self.admitted()
            for claim, grant in claims:
                admitted = settled(admitted, claim, grant)
            self._write("admitted.json", {name: asdict(row) for name, row in admitted.items()})

    def refuse(self, members: Sequence[Refused]) -> None:
        """Take note of members that were refused."""
        rows = [asdict(row) for row in (*self.refused(), *members)][-REMEMBERED:]
        self._write("refused.json", rows)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes these files meanwhile."""
        with (self.state / "grants.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self, name: str, nothing: Any) -> Any:
        try:
            return json.loads((self.state / name).read_text())
        except FileNotFoundError:
            return nothing

    def _write(self, name: str, rows: Any) -> None:
        write_whole(self.state / name, json.dumps(rows, indent=1))
