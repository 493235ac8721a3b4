"""The head's HTTP interface, as seen from outside the fabric: which nodes there are.

The endpoints are those of Ray's dashboard (https://docs.ray.io/en/latest/ray-observability/reference/api.html).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tierflow.errors import FabricError
from tierflow.topology import NODE, SITE, TIER, Member

__all__ = ["Dashboard"]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Where the dashboard is (``http://127.0.0.1:8265``) and the token that it asks for."""

    url: str
    token: str

    def members(self, timeout: float = 10.0) -> tuple[Member, ...]:
        """Every node that the head knows, also those that died, by name. ``available`` is not known here.

        Raises:
            FabricError: nothing answers, or what answers refuses the token.
        """
        return tuple(member for member, _ in self.started(timeout))

    def started(self, timeout: float = 10.0) -> tuple[tuple[Member, float], ...]:
        """The same, each with when it started, in seconds since 1970."""
        answer = self._get("/api/v0/nodes?detail=1&limit=10000", timeout)
        rows = answer["data"]["result"]["result"]
        found = ((_member(row), (row.get("start_time_ms") or 0) / 1000) for row in rows)
        return tuple(sorted(found, key=lambda row: (row[0].name, row[0].ray_id)))

    def _get(self, path: str, timeout: float) -> Mapping[str, Any]:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                answer: Mapping[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (401, 403):
                    raise FabricError(
                        f"the head at {self.url} refuses this token",
                        "another fabric of yours may listen there: see `tierflow down --all`",
                    ) from None
            raise FabricError(f"the head at {self.url} answers with {error.code}", "see its log") from None
        except (OSError, ValueError) as error:
            raise FabricError(
                f"the head at {self.url} does not answer ({error})", "start it with `tierflow up`"
            ) from None
        return answer


def _member(row: Mapping[str, Any]) -> Member:
    labels = row.get("labels") or {}
    return Member(
        name=labels.get(NODE, row["node_name"]),
        tier=labels.get(TIER, ""),
        site=labels.get(SITE, ""),
        alive=row["state"] == "ALIVE",
        resources=row.get("resources_total") or {},
        available={},
        labels=labels,
        ray_id=row["node_id"],
        address=row["node_ip"],
    )
