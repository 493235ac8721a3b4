"""Handles that pickle by module and qualified name, as functions and classes do."""

from __future__ import annotations

import sys
from typing import Any, TypeVar

__all__ = ["Named", "is_named"]

H = TypeVar("H", bound="Named")


def is_named(handle: object, module: str, qualname: str) -> bool:
    """Whether ``module.qualname`` is this handle and another process can import it (`__main__` it can't)."""
    found: Any = sys.modules.get(module)
    if found is None or module == "__main__":
        return False
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found is handle


class Named:
    """A handle around `raw`. It is one value for ever: a copy is the handle itself.

    It pickles as its name where that leads to it; otherwise (`__main__`, a notebook, a closure) by value, in two steps,
    because the function of a handle may well name the handle: first an empty one, then what is in it. One that
    `.options()` made pickles as the handle it came from, and the difference.
    """

    __module__: str
    __qualname__: str

    def __copy__(self: H) -> H:
        return self

    def __deepcopy__(self: H, memo: dict[int, Any]) -> H:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        if is_named(self, self.__module__, self.__qualname__):
            return self.__qualname__
        return _empty, (type(self),), self._content()

    def __setstate__(self, content: Any) -> None:
        self._fill(*content)

    def _content(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _fill(self, *content: Any) -> None:
        raise NotImplementedError


def _empty(kind: type[H]) -> H:
    return kind.__new__(kind)
