"""`@tierflow.actor`: a class whose instances can live elsewhere."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from tierflow.errors import OptionError
from tierflow.runtime.work import Work
from tierflow.sdk import fabric
from tierflow.sdk.body import actor_body, is_async
from tierflow.sdk.named import Named, is_named
from tierflow.sdk.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tierflow.runtime.handles import FlowNode, Handle
    from tierflow.topology import Metric, OnCut, Stay

__all__ = ["Actor", "actor"]

P = ParamSpec("P")
T = TypeVar("T")


class Actor(Named, Generic[P, T]):
    """A decorated class: ``C(x)`` makes an instance here, ``C.remote(x)`` an actor on the fabric (a Ray actor handle).

    Made by `actor`. Attributes of the class are reached through it, `isinstance` knows its instances, other classes
    can inherit from it, and it pickles by module and qualified name.
    """

    raw: type[T]
    """The class as it was written."""

    def __init__(self, raw: type[T], options: Options, origin: Actor[P, T] | None = None) -> None:
        self._fill(raw, options, origin)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a plain instance here and now: no fabric."""
        return self._named_raw()(*args, **kwargs)

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        """Make an instance on a node of the fabric that fits; at once a Ray actor handle to it.

        Raises:
            NoPlacement: no node can run it; each is listed with what ruled it out.
            FabricError: there is no fabric to run it on.
        """
        return cast("Handle[T]", fabric.current().start(self._work, args, kwargs))

    def options(self, **options: Any) -> Actor[P, T]:
        """The same class with other options for the actors made through it; see `actor`.

        Raises:
            OptionError: an option that does not exist, or a value it can't have.
        """
        if fixed := options.keys() & {"concurrency_groups", "releases"}:
            raise OptionError(self.__qualname__, f"{min(fixed)} is fixed with the actor", "give it to the decorator")
        return Actor(self.raw, self._options.with_(options), self._origin or self)

    def bind(self, *args: Any, **kwargs: Any) -> FlowNode:
        """Add an actor to a flow: a node of a Ray DAG, whose methods bind in turn."""
        return cast("FlowNode", fabric.current().bind(self._work, args, kwargs))

    def __getattr__(self, name: str) -> Any:
        # `raw` is absent while a pickle is being read; looking it up again here would not end.
        if name == "raw" or name.startswith("__ray_"):
            raise AttributeError(name)
        return getattr(self._named_raw(), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.raw)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.raw)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._named_raw(),)

    def __repr__(self) -> str:
        return f"<actor {self._options.request().title} of {self.__module__}>"

    @functools.cached_property
    def _work(self) -> Work:
        options, raw = self._options, self._named_raw()
        request, given = options.request(), options.for_ray()
        resident = given if options.resident else None
        body = actor_body(raw, request.title, resident, options.ahead, options.policy.stay, options.releases)
        frees = tuple(options.releases)
        return Work(body, self.raw, request, given, options.policy, stand_in=options.stand_in, releases=frees)

    def _named_raw(self) -> type[T]:
        """The class, under a name that leads to it.

        Its own name leads to the handle, and pickle would refuse its instances ("not the same object").
        """
        origin = self._origin or self
        if self.raw.__qualname__ == origin.__qualname__ and is_named(origin, origin.__module__, origin.__qualname__):
            self.raw.__qualname__ = f"{origin.__qualname__}.raw"
        return self.raw

    def _content(self) -> tuple[Any, ...]:
        return (self.raw if self._origin is None else None), self._options, self._origin

    def _fill(self, raw: type[T] | None, options: Options, origin: Actor[P, T] | None) -> None:
        if raw is None and origin is not None:
            raw = origin.raw
        assert raw is not None
        if options.ahead is not None and is_async(raw):
            raise OptionError(
                raw.__name__,
                "it has ahead, and methods that are async def: what it yields is made in its event loop, one by one",
                "leave ahead out, or write its methods with def",
            )
        self.raw, self._options, self._origin = raw, options, origin
        functools.update_wrapper(self, cast("Callable[..., Any]", raw), updated=())


@overload
def actor(kind: Callable[P, T], /) -> Actor[P, T]: ...
@overload
def actor(
    *,
    tier: str | tuple[str, ...] | list[str] | None = None,
    site: str | None = None,
    node: str | None = None,
    minimise: Metric | Mapping[Metric, float] | None = None,
    deadline: str | float | None = None,
    max_bytes: str | float | None = None,
    budget: str | float | None = None,
    energy: str | float | None = None,
    stay: Stay | None = None,
    order: str | tuple[str, ...] | list[str] | None = None,
    accuracy: float | None = None,
    margin: float | None = None,
    on_cut: OnCut | None = None,
    releases: Mapping[str, str] | None = None,
    ahead: str | float | None = None,
    name: str | None = None,
    resident: bool = False,
    stand_in: bool = False,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    memory: float | None = None,
    resources: dict[str, float] | None = None,
    **options: Any,
) -> Callable[[Callable[P, T]], Actor[P, T]]: ...
def actor(kind: Any = None, /, **options: Any) -> Any:
    """Make a class an actor: a class as before, and with ``.remote()`` one whose instance lives on the fabric.

    Args:
        kind: a class; its methods may be `async def` and generators.
        options: `tier` (one, or several in order of preference), `site` and `node` say where it may live; without
            them any node will do. The policy says what the fabric chooses by: `minimise` (latency, energy, money or
            bytes, or a weight for each), `order` (tiers, the best first), and what one call must keep: `deadline`
            ("50 ms"), `max_bytes` ("1 MB"), `budget` (dollars), `energy` ("2 J"), `stay` ("device" or "site": what
            its inputs may not leave, and what its methods make), `margin` (standard deviations to stay clear of those
            bounds). `releases` names methods whose results may leave all the same, each with a word for the audit log:
            ``releases={"summary": "aggregate"}``. `on_cut` ("fail", "queue" or "local") says what becomes of making one
            where all nodes that it may live on are cut off; see `task`.
            `ahead` ("8 MB") bounds what its generators make before it is read, see `task`.
            What is not said here or with `.options()` is as `init` and the cluster file say. All others are Ray's, by
            Ray's names and with Ray's meaning: `name` (for `ray.get_actor`), `num_cpus`, `max_restarts`,
            `max_concurrency`, `lifetime`, `get_if_exists`...
            `stand_in=True` keeps a second process on its node that answers for it when it has crashed, also where the
            head is cut off and Ray cannot start it again (see `runtime.standby`; get results with `tierflow.get`).
            `resident=True` (with `node` and `name`) lets it outlive its program and come back on its node after every
            restart, with the arguments that it was made with; and while the head is out of reach the node starts it
            on its own, for programs on that node. `ray.kill` ends it for good.

    Raises:
        OptionError: an option that does not exist, or a value it can't have.
    """
    if kind is None:
        return functools.partial(_actor, options)
    return _actor(options, kind)


def _actor(options: dict[str, Any], kind: Any) -> Actor[..., Any]:
    if isinstance(kind, Actor):
        raise OptionError(kind.__name__, "it is an actor already", "decorate it once, or use its .options()")
    if not isinstance(kind, type):
        raise OptionError(getattr(kind, "__name__", repr(kind)), "an actor is a class", "use tierflow.task")
    checked = Options("actor", kind.__name__).with_(options)
    for name in checked.releases:
        if not inspect.isfunction(getattr(kind, name, None)):
            raise OptionError(kind.__name__, f"releases names {name!r}, which is no method of it", "name a method")
    return Actor(kind, checked)
