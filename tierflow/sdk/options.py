"""What a decorator and `.options()` take: place and policy in tierflow's words, everything else by Ray's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal

from tierflow.errors import OptionError, UnitError
from tierflow.planning import POLICY_OPTIONS, Policy, Request
from tierflow.units import size

__all__ = ["ACTOR_OPTIONS", "TASK_OPTIONS", "Kind", "Options", "ahead_of"]

Kind = Literal["task", "actor"]

_SHARED = frozenset(
    {
        "label_selector",
        "fallback_strategy",
        "accelerator_type",
        "memory",
        "name",
        "num_cpus",
        "num_gpus",
        "object_store_memory",
        "placement_group",
        "placement_group_bundle_index",
        "placement_group_capture_child_tasks",
        "resources",
        "runtime_env",
        "scheduling_strategy",
        "enable_task_events",
        "_labels",
    }
)
TASK_OPTIONS = _SHARED | frozenset(
    {
        "max_calls",
        "max_retries",
        "num_returns",
        "retry_exceptions",
        "_generator_backpressure_num_objects",
        "_num_objects_per_yield",
    }
)
"""Ray's options of a task by name (Ray is not imported to decorate; a test compares this with Ray's own list)."""
ACTOR_OPTIONS = _SHARED | frozenset(
    {
        "concurrency_groups",
        "enable_tensor_transport",
        "lifetime",
        "max_concurrency",
        "max_restarts",
        "max_task_retries",
        "max_pending_calls",
        "namespace",
        "get_if_exists",
        "allow_out_of_order_execution",
        "_actor_generator_backpressure_num_objects",
    }
)
"""Ray's options of an actor by name."""
_PLACE = ("tier", "site", "node")
_OF_ACTORS = frozenset({"resident", "stand_in"})
_OURS = frozenset({*_PLACE, *POLICY_OPTIONS, *_OF_ACTORS, "ahead", "releases"})
_OF_RESIDENTS = {"lifetime": "detached", "max_restarts": -1, "get_if_exists": True}
_RAYS_AHEAD = ("_generator_backpressure_num_objects", "_actor_generator_backpressure_num_objects")


def ahead_of(subject: str, value: str | float) -> float:
    """The bytes that a stream may be ahead by.

    Raises:
        OptionError: it is no size.
    """
    try:
        found = float(size(value)) if isinstance(value, str) else value
        if not isinstance(found, bool) and found >= 0:
            return found
    except (TypeError, UnitError):
        pass
    raise OptionError(subject, f"ahead={value!r} is no size", "write it like '8 MB'")


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options of one handle: the tiers in order of preference, a site, a node, a policy, and Ray's own.

    `policy` holds what was asked for; `ray` is by Ray's names. `releases` is the word under which a task's results (the
    key is empty) or those of an actor's methods (by name) lose their label. A `resident` actor outlives its program and
    comes back on its node, also while the head is away. With `stand_in` a second process answers for it when it has
    crashed.
    `ahead` (bytes) is what its generators make before it is read.
    """

    kind: Kind
    subject: str
    tiers: tuple[str, ...] = ()
    site: str | None = None
    node: str | None = None
    policy: Policy = field(default_factory=Policy)
    ray: Mapping[str, Any] = field(default_factory=dict)
    resident: bool = False
    stand_in: bool = False
    releases: Mapping[str, str] = field(default_factory=dict)
    ahead: float | None = None

    def with_(self, given: Mapping[str, Any]) -> Options:
        """These options with the given ones over them; what is not given stays, None takes back.

        Raises:
            OptionError: an option that does not exist, a value of the wrong type, or two that contradict each other.
        """
        known = TASK_OPTIONS if self.kind == "task" else ACTOR_OPTIONS
        for name in given:
            if (name not in known and name not in _OURS) or (name in _OF_ACTORS and self.kind == "task"):
                raise self._unknown(name, known)
        for name in ("num_cpus", "num_gpus", "memory"):
            self._check_amount(name, given.get(name))
        self._check_resources(given.get("resources"))
        options = replace(
            self,
            tiers=self._tiers(given["tier"]) if "tier" in given else self.tiers,
            site=self._name("site", given["site"]) if "site" in given else self.site,
            node=self._name("node", given["node"]) if "node" in given else self.node,
            policy=self._policy({name: value for name, value in given.items() if name in POLICY_OPTIONS}),
            ray={**self.ray, **{name: value for name, value in given.items() if name not in _OURS}},
            resident=bool(given.get("resident", self.resident)),
            stand_in=bool(given.get("stand_in", self.stand_in)),
            releases=self._releases(given["releases"]) if "releases" in given else self.releases,
            ahead=self._ahead(given["ahead"]) if "ahead" in given else self.ahead,
        )
        options._check_place()
        options._check_policy()
        options._check_resident()
        options._check_ahead()
        return options

    def request(self) -> Request:
        """What these options ask of a node; amounts that are not given are those that Ray assumes."""
        ray = self.ray
        needs: dict[str, float] = {str(name): float(value) for name, value in (ray.get("resources") or {}).items()}
        for ours, name in (("num_gpus", "GPU"), ("memory", "memory")):
            if ray.get(ours):
                needs[name] = float(ray[ours])
        # A task takes 1 CPU, an actor is placed where there is 1 CPU even if it then takes none.
        cpus = ray.get("num_cpus")
        needs["CPU"] = 1.0 if cpus is None else float(cpus)
        labels = dict(ray.get("label_selector") or {})
        fallbacks = tuple(dict(choice["label_selector"]) for choice in ray.get("fallback_strategy") or ())
        name = self.subject
        if self.kind == "task" and ray.get("name"):
            name = str(ray["name"])
        return Request(name, self.tiers, self.site, self.node, needs, labels, fallbacks)

    def for_ray(self) -> dict[str, Any]:
        """The options that go to Ray as they are: all but a task's name and the labels, which the request carries."""
        taken = {"label_selector", "fallback_strategy"} | ({"name"} if self.kind == "task" else set())
        given = {name: value for name, value in self.ray.items() if name not in taken and value is not None}
        return {**_OF_RESIDENTS, **given} if self.resident else given

    @property
    def rays_ahead(self) -> str:
        """The option by which Ray bounds what a generator is ahead by, in objects; "" where there is none."""
        return next((name for name in _RAYS_AHEAD if self.ray.get(name) is not None), "")

    def _unknown(self, name: str, known: frozenset[str]) -> OptionError:
        ours = _OURS if self.kind == "actor" else _OURS - _OF_ACTORS
        public = sorted([*ours, *(option for option in known if not option.startswith("_"))])
        close = get_close_matches(name, public, n=1)
        mend = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(public)}"
        return OptionError(self.subject, f"a {self.kind} has no option {name!r}", mend)

    def _tiers(self, value: object) -> tuple[str, ...]:
        if value is None:
            return ()
        tiers = (value,) if isinstance(value, str) else value
        if isinstance(tiers, (tuple, list)) and tiers and all(isinstance(tier, str) and tier for tier in tiers):
            return tuple(dict.fromkeys(tiers))
        raise OptionError(
            self.subject,
            f"tier={value!r} is no tier",
            "write tier='edge', or several in order of preference: tier=('edge', 'cloud')",
        )

    def _policy(self, given: Mapping[str, Any]) -> Policy:
        asked = {name: value for name, value in given.items() if value is not None}
        try:
            policy = Policy.of(**asked)
        except OptionError as error:
            problem = f"{error.name}={asked[error.name]!r} is no value for it"
            raise OptionError(self.subject, problem, error.mend) from error
        return policy.over(self.policy.without(given.keys() - asked.keys()))

    def _releases(self, value: object) -> Mapping[str, str]:
        found = value if isinstance(value, Mapping) and self.kind == "actor" else {"": value}
        ways = {"task": "releases='aggregate'", "actor": "releases={'summary': 'aggregate'}, by method"}
        of_actor = self.kind == "actor"
        if any(bool(name) != of_actor or not isinstance(word, str) or not word for name, word in found.items()):
            mend = f"say in a word what its results are, like {ways[self.kind]}"
            raise OptionError(self.subject, f"releases={value!r} is no word for what is released", mend)
        return {str(name): str(word) for name, word in found.items()}

    def _ahead(self, value: Any) -> float | None:
        return None if value is None else ahead_of(self.subject, value)

    def _name(self, option: str, value: object) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        raise OptionError(self.subject, f"{option}={value!r} is no name", f"write {option}='the name of one {option}'")

    def _check_amount(self, option: str, value: object) -> None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
            unit = "a number of bytes" if option == "memory" else "a number"
            raise OptionError(self.subject, f"{option}={value!r} is no amount", f"write {unit}, 0 or more")

    def _check_resources(self, value: object) -> None:
        if value is None:
            return
        if not isinstance(value, Mapping):
            raise OptionError(self.subject, f"resources={value!r} is no mapping", "write resources={'camera': 1}")
        for name, amount in value.items():
            self._check_amount(str(name), amount)
            if name in ("CPU", "GPU", "memory"):
                own = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}[name]
                raise OptionError(self.subject, f"resources has {name!r}", f"write {own}={amount!r} beside it")

    def _strategy(self) -> str:
        """The option that says in Ray's own way where it runs; "" where none does."""
        ways = ("scheduling_strategy", "placement_group", "fallback_strategy")
        return next((way for way in ways if self.ray.get(way) not in (None, "default", "DEFAULT")), "")

    def _check_place(self) -> None:
        if (self.tiers or self.site or self.node) and (other := self._strategy()):
            raise OptionError(self.subject, f"it has both a place and {other}", "say where it runs in one way only")

    def _check_ahead(self) -> None:
        if self.ahead is not None and (other := self.rays_ahead):
            raise OptionError(self.subject, f"it has both ahead and {other}", "leave one of the two out")

    def _check_resident(self) -> None:
        if self.resident and self.stand_in:
            raise OptionError(
                self.subject,
                "it is to be resident and to have a stand-in",
                "leave one of the two out: they do not mix yet",
            )
        if self.resident and not (self.node and self.ray.get("name")):
            raise OptionError(
                self.subject,
                "a resident actor is found by its name on its one node",
                "write node= and name= beside resident=True",
            )

    def _check_policy(self) -> None:
        if self.policy.asks and (other := self._strategy()):
            raise OptionError(
                self.subject,
                f"it has both a policy and {other}",
                f"take {other} away, and the fabric chooses by the policy; or let Ray choose, without one",
            )
        if len(self.tiers) > 1 and self.policy.order:
            raise OptionError(
                self.subject,
                f"tier={self.tiers!r} and order={self.policy.order!r} are both an order of preference",
                "write tier for where it may run at all, or order for what to prefer",
            )
        if len(self.tiers) == 1 and self.policy.order and self.tiers[0] not in self.policy.order:
            raise OptionError(
                self.subject,
                f"it may run on tier {self.tiers[0]} only, which order={self.policy.order!r} does not name",
                "leave one of the two out",
            )
