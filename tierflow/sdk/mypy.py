"""A mypy plugin: mypy does not apply the decorators of classes, so it has to be told what `@tierflow.actor` makes.

In `pyproject.toml`::

    [tool.mypy]
    plugins = ["tierflow.sdk.mypy"]

Then ``C.remote`` takes what ``C`` takes and gives a handle, and ``C.options`` gives the same again. (Pyright needs
nothing; neither does ``Model = tierflow.actor(Plain)``.)
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import GDEF, SymbolTableNode, TypeInfo, Var
from mypy.plugin import AttributeContext, ClassDefContext, Plugin
from mypy.types import AnyType, CallableType, Instance, Parameters, Type, TypeOfAny, get_proper_type

__all__ = ["ActorPlugin", "plugin"]

_DECORATOR = "tierflow.sdk.actor.actor"
_MARK = "tierflow.actor"
_ADDED = ("remote", "options", "bind")


class ActorPlugin(Plugin):
    """Gives decorated classes `remote`, `options` and `bind`."""

    def get_class_decorator_hook_2(self, fullname: str) -> Callable[[ClassDefContext], bool] | None:
        """Mark the classes that `tierflow.actor` decorates."""
        return _mark if fullname == _DECORATOR else None

    def get_class_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """Give what was added to a marked class its type."""
        owner, _, name = fullname.rpartition(".")
        if name not in _ADDED:
            return None
        found = self.lookup_fully_qualified(owner)
        if found is None or not isinstance(found.node, TypeInfo) or _MARK not in found.node.metadata:
            return None
        return lambda context: self._attribute(context, name)

    def _attribute(self, context: AttributeContext, name: str) -> Type:
        made = get_proper_type(context.type)
        handle, actor = self._type("tierflow.runtime.handles.Handle"), self._type("tierflow.sdk.actor.Actor")
        if not isinstance(made, CallableType) or handle is None or actor is None or name == "bind":
            return context.default_attr_type
        kind = get_proper_type(made.ret_type)
        if name == "remote":
            return made.copy_modified(ret_type=Instance(handle, [kind]))
        method = actor.get_method("options")
        if method is None or not isinstance(method.type, CallableType):
            return context.default_attr_type
        same = Instance(actor, [Parameters(made.arg_types, made.arg_kinds, made.arg_names), kind])
        options = method.type
        return options.copy_modified(options.arg_types[1:], options.arg_kinds[1:], options.arg_names[1:], ret_type=same)

    def _type(self, fullname: str) -> TypeInfo | None:
        found = self.lookup_fully_qualified(fullname)
        return found.node if found is not None and isinstance(found.node, TypeInfo) else None


def plugin(version: str) -> type[Plugin]:
    """The entry point that mypy looks for."""
    return ActorPlugin


def _mark(context: ClassDefContext) -> bool:
    info = context.cls.info
    info.metadata[_MARK] = {}
    for name in _ADDED:
        if name not in info.names:
            added = Var(name, AnyType(TypeOfAny.special_form))
            added.info, added.is_classvar, added._fullname = info, True, f"{info.fullname}.{name}"
            info.names[name] = SymbolTableNode(GDEF, added, plugin_generated=True)
    return True
