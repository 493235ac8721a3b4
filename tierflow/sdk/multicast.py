"""One value for many nodes of a site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tierflow.sdk.task import task

if TYPE_CHECKING:
    from tierflow.runtime.handles import ObjectRef

__all__ = ["multicast"]

T = TypeVar("T")


def multicast(ref: ObjectRef[T], site: str) -> ObjectRef[T]:
    """A reference to one copy of a value at a site, for all its nodes: the value crosses the way to the site once.

    Give it in place of `ref` to the tasks and actors there: they take the copy from the node that has it, over the
    site's own links. That node is the one which has the value soonest, by the cost model, and the value goes there
    packed if that is sooner. It returns at once; whoever uses the copy waits for it. A task that fetches it again from
    where `ref` is makes another copy if the node is lost.

    Raises:
        NoPlacement: the fabric has no such site, or none of its nodes is a member.
        Cut: the site is cut off from here.
    """
    copy: ObjectRef[Any] = _copy.options(site=site).remote(ref)
    return copy


@task(name="multicast", num_cpus=0)
def _copy(value: Any) -> Any:
    return value
